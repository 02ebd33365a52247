import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.add_conventions import as_plain_checkpoint, read_conventions, saelens_v6
from precompute.add_model import choose_model, hub_id, open_model
from precompute.add_sources import Found


def write(folder, name, cfg, weights):
    folder.mkdir(parents=True)
    (folder / name).write_text(json.dumps(cfg))
    (folder / weights).write_bytes(b"")
    return Found(folder)


def test_gemma_scope_says_everything_in_its_path(tmp_path):
    folder = tmp_path / "gemma-scope-2b-pt-res" / "layer_12" / "width_16k" / "average_l0_82"
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", b_dec=np.zeros(2))
    said = read_conventions(Found(folder))
    assert (said.model, said.hook, said.l0) == ("google/gemma-2-2b", "blocks.12.hook_resid_post", 82)
    assert said.prepend_bos is True and said.context_size == 1024


@pytest.mark.parametrize(
    ("release", "model", "hook"),
    [
        ("gemma-scope-9b-it-res/layer_9", "google/gemma-2-9b-it", "blocks.9.hook_resid_post"),
        ("gemma-scope-2b-pt-att/layer_3", "google/gemma-2-2b", "blocks.3.attn.hook_z"),
        ("gemma-scope-2b-pt-mlp/layer_3", "google/gemma-2-2b", "blocks.3.hook_mlp_out"),
        ("gemma-scope-2b-pt-res/embedding", "google/gemma-2-2b", "hook_embed"),
        ("downloads/att/layer_4", None, "blocks.4.attn.hook_z"),
        ("downloads/first", None, None),
    ],
)
def test_gemma_scopes_places_are_named_by_their_folders(tmp_path, release, model, hook):
    folder = tmp_path / release / "width_16k" / "average_l0_10"
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", b_dec=np.zeros(2))
    said = read_conventions(Found(folder))
    assert (said.model, said.hook) == (model, hook)


def test_sparsify_names_its_folder_as_the_hook_point_and_the_run_beside_it(tmp_path):
    found = write(tmp_path / "layers.5", "cfg.json", {"k": 32, "d_in": 4}, "sae.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model": "EleutherAI/pythia-160m", "ctx_len": 2048}))
    said = read_conventions(found)
    assert (said.model, said.hook, said.context_size, said.l0) == ("EleutherAI/pythia-160m", "layers.5", 2048, 32)
    assert said.prepend_bos is None
    other = write(tmp_path / "h.5.mlp", "cfg.json", {"k": 32, "transcode": True}, "sae.safetensors")
    with pytest.raises(BadInput, match=r"'h\.5\.mlp' is a transcoder"):
        read_conventions(other)


@pytest.mark.parametrize(
    ("trainer", "buffer", "hook"),
    [
        ({"layer": 8}, {}, "resid_post_layer_8"),
        ({"layer": 0, "submodule_name": "resid_post_layer_0"}, {}, "resid_post_layer_0"),
        ({"layer": 3, "submodule_name": "mlp_out"}, {"io": "out"}, "mlp_out_layer_3"),
        ({"layer": 3, "submodule_name": "transformer.h.3.mlp"}, {"io": "in"}, "transformer.h.3.mlp.input"),
        ({}, {}, None),
    ],
)
def test_dictionary_learning_names_layer_and_submodule(tmp_path, trainer, buffer, hook):
    cfg = {"trainer": {"lm_name": "gpt2", "k": 20, **trainer}, "buffer": {"ctx_len": 128, **buffer}}
    said = read_conventions(write(tmp_path / "ae", "config.json", cfg, "ae.pt"))
    assert (said.model, said.hook, said.context_size, said.l0) == ("gpt2", hook, 128, 20)


def test_dictionary_learnings_transcoders_are_refused(tmp_path):
    cfg = {"trainer": {"layer": 1}, "buffer": {"io": "in_and_out"}}
    with pytest.raises(BadInput, match="is a transcoder"):
        read_conventions(write(tmp_path / "ae", "config.json", cfg, "ae.pt"))


def test_weights_without_a_config_are_refused(tmp_path):
    (tmp_path / "sae_weights.safetensors").write_bytes(b"")
    with pytest.raises(BadInput, match="no config that says which kind"):
        read_conventions(Found(tmp_path))


def test_a_config_before_version_6_is_brought_into_its_form():
    old = {
        "hook_point": "blocks.1.attn.hook_z",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 5},
        "normalize_activations": True,
        "d_in": 4,
        "model_name": "gpt2-small",
    }
    new = saelens_v6(old)
    assert new["metadata"] == {"prepend_bos": True, "hook_name": "blocks.1.attn.hook_z", "model_name": "gpt2-small"}
    assert (new["architecture"], new["k"]) == ("topk", 5)
    assert new["normalize_activations"] == "expected_average_only_in" and new["reshape_activations"] == "hook_z"
    assert saelens_v6(new) == new


def test_what_a_publisher_corrects_goes_before_the_file(tmp_path):
    cfg = {"d_in": 4, "metadata": {"hook_name": "blocks.1.hook_resid_pre", "model_name": "gpt2-small"}}
    found = write(tmp_path / "sae", "cfg.json", cfg, "sae_weights.safetensors")
    overrides = {
        "model_from_pretrained_kwargs": {"center_writing_weights": True},
        "normalize_activations": "constant_norm_rescale",
    }
    said = read_conventions(Found(found.path, "", overrides))
    assert said.processing == {"center_writing_weights"} and said.row_norm == "constant_norm_rescale"


def test_processing_of_models_of_transformers_is_none(tmp_path):
    said = {
        "hook_name": "transformer.h.1",
        "model_class_name": "AutoModelForCausalLM",
        "model_from_pretrained_kwargs": {"torch_dtype": "bfloat16"},
    }
    found = write(tmp_path / "sae", "cfg.json", {"d_in": 4, "metadata": said}, "sae_weights.safetensors")
    assert read_conventions(found).processing == frozenset()


def test_the_plain_checkpoint_links_weights_and_leaves_nothing_behind(tmp_path):
    cfg = {"architecture": "standard", "normalize_activations": "layer_norm", "reshape_activations": "hook_z"}
    found = write(tmp_path / "sae", "cfg.json", {**cfg, "metadata": {}}, "sae_weights.safetensors")
    save_file({"W": torch.ones(1)}, found.path / "sae_weights.safetensors")
    with as_plain_checkpoint(read_conventions(found)) as folder:
        plain = json.loads((folder / "cfg.json").read_text())
        assert (plain["normalize_activations"], plain["reshape_activations"]) == ("layer_norm", "hook_z")
        assert (folder / "sae_weights.safetensors").samefile(found.path / "sae_weights.safetensors")
    assert not folder.exists() and json.loads((found.path / "cfg.json").read_text())["reshape_activations"] == "hook_z"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("gpt2-small", "openai-community/gpt2"),
        ("gpt2-xl", "openai-community/gpt2-xl"),
        ("pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
        ("gemma-2-2b", "google/gemma-2-2b"),
        ("mistral-7b", "mistralai/Mistral-7B-v0.1"),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("something-else", "something-else"),
    ],
)
def test_short_names_of_models_become_hub_ids(name, full):
    assert hub_id(name) == full


def test_a_model_of_the_workspace_goes_before_the_hub(tmp_path):
    workspace = Workspace(tmp_path)
    assert choose_model(None, ["gpt2-small"], workspace) == "openai-community/gpt2"
    folder = workspace.models_dir() / "gpt2-small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert choose_model(None, ["gpt2-small", None], workspace) == str(folder)
    assert choose_model("mine", ["gpt2-small"], workspace) == "mine"
    with pytest.raises(BadInput, match="several models"):
        choose_model(None, ["a", "b"], workspace)
    with pytest.raises(BadInput, match="--model"):
        choose_model(None, [None], workspace)


def test_a_model_out_of_reach_is_one_clear_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        BadInput, match=r"Model 'openai-community/gpt2' is no folder here .* Give a folder with --model\.$"
    ):
        open_model("openai-community/gpt2", "cpu", "float32", False)
    with pytest.raises(BadInput, match="Model 'no/such/model' is no folder here, and no model on the Hugging Face hub"):
        open_model("no/such/model", "cpu", "float32", False)
