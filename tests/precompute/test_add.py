"""SAEs of another library are read as they were trained: their activations are an explicit formula's, token by token."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, GPT2LMHeadModel

from catalog.catalog import Catalog
from catalog.jobs import jobs
from loaders.errors import BadInput
from loaders.inspection import inspect_store
from loaders.workspace import Workspace
from precompute.add import Config, plan_all
from precompute.export_sae import export_sae
from tests.precompute.add_reference import (
    POSITIONS,
    TEXTS,
    WIDTH,
    activations,
    add,
    codes,
    states,
    write_folder,
    write_sae,
)

PROCESSED = {"center_writing_weights": True, "fold_ln": True, "fold_value_biases": True, "center_unembed": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("add"))


@pytest.fixture(scope="module")
def workspace(folder):
    return Workspace(folder / "workspace")


def expected(folder, sae, place, bos, change=lambda rows, found: rows, coded=lambda rows: rows):
    """The formula's codes of each text: the model written out, `change` what processing does, `coded` what the SAE does."""
    model, tokenizer = (
        GPT2LMHeadModel.from_pretrained(folder / "model"),
        AutoTokenizer.from_pretrained(folder / "model"),
    )
    for text in TEXTS:
        tokens = tokenizer(text.strip())["input_ids"]
        found = states(model, [tokenizer.eos_token_id, *tokens] if bos else tokens)
        yield codes(sae, coded(change(found[place], found)))[1 if bos else 0 :].numpy()


def centre(rows, found):
    return rows - rows.mean(1, keepdim=True)


CASES = {  # name: hook point, place of the reference, config, processing, first token, change, coded
    "plain": ("hook_resid_pre", {}, {}, True, lambda rows, found: rows, lambda rows: rows),
    "without first token": ("hook_resid_post", {}, {}, False, lambda rows, found: rows, lambda rows: rows),
    "middle": ("hook_resid_mid", {}, {"fold_ln": True}, True, lambda rows, found: rows, lambda rows: rows),
    "centred": ("hook_resid_pre", {}, {"center_writing_weights": True}, True, centre, lambda rows: rows),
    "centred mlp": ("hook_mlp_out", {}, PROCESSED, True, centre, lambda rows: rows),
    "heads": ("attn.hook_z", {"reshape_activations": "hook_z"}, {}, True, lambda rows, found: rows, lambda rows: rows),
    "heads without value biases": (
        "attn.hook_z",
        {"reshape_activations": "hook_z"},
        PROCESSED,
        True,
        lambda rows, found: rows - found["bias"],
        lambda rows: rows,
    ),
    "norm": ("ln2.hook_normalized", {}, {}, True, lambda rows, found: rows, lambda rows: rows),
    "folded norm": (
        "ln2.hook_normalized",
        {},
        PROCESSED,
        True,
        lambda rows, found: found["folded ln2.hook_normalized"],
        lambda rows: rows,
    ),
    "rows of one norm": (
        "hook_resid_pre",
        {"normalize_activations": "constant_norm_rescale"},
        {"center_writing_weights": True},
        True,
        centre,
        lambda rows: rows * WIDTH**0.5 / rows.norm(dim=1, keepdim=True),
    ),
    "layer norm": (
        "hook_mlp_out",
        {"normalize_activations": "layer_norm"},
        {},
        False,
        lambda rows, found: rows,
        lambda rows: (rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + 1e-5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_activations_are_those_of_the_formula_at_every_token(folder, workspace, name):
    place, cfg, processing, bos, change, coded = CASES[name]
    said = {"prepend_bos": bos, "model_from_pretrained_kwargs": processing}
    sae = write_sae(folder / name, folder / "model", f"blocks.1.{place}", metadata=said, **cfg)
    [added] = add(folder, workspace, sae)
    found = activations(workspace, added.store)
    for one, wanted in zip(found, expected(folder, sae, place, bos, change, coded), strict=True):
        np.testing.assert_allclose(one, wanted, atol=2e-5 * max(np.abs(wanted).max(), 1))
    manifest = workspace.open_store(added.store).manifest
    assert manifest.get("input_stages", []) == added.stages


@pytest.mark.parametrize(
    "name", ["centred mlp", "heads without value biases", "folded norm", "rows of one norm", "layer norm"]
)
def test_what_was_exported_or_lies_in_the_workspace_is_added_again_with_the_same_activations(
    folder, workspace, tmp_path, name
):
    place, cfg, processing, bos, _, _ = CASES[name]
    said = {"prepend_bos": bos, "model_from_pretrained_kwargs": processing}
    sae = write_sae(tmp_path / "again", folder / "model", f"blocks.1.{place}", metadata=said, **cfg)
    again = Workspace(tmp_path / "w")
    [first] = add(folder, again, sae)
    assert inspect_store(again.store_dir(first.store), verify=True)["faults"] == []
    exported = export_sae(again, first.sae, "saelens", tmp_path / "exported")
    for number, source in enumerate((exported, again.sae_dir(first.sae))):
        [second] = add(folder, again, source, sae_id=f"again-{number}")
        for one, wanted in zip(activations(again, second.store), activations(again, first.store), strict=True):
            np.testing.assert_allclose(one, wanted, atol=2e-5 * max(np.abs(wanted).max(), 1))


def test_the_constant_that_a_file_owes_is_estimated_on_the_rows(folder, workspace):
    sae = write_sae(
        folder / "owing", folder / "model", "blocks.1.hook_resid_pre", normalize_activations="expected_average_only_in"
    )
    [added] = add(folder, workspace, sae)
    model, tokenizer = (
        GPT2LMHeadModel.from_pretrained(folder / "model"),
        AutoTokenizer.from_pretrained(folder / "model"),
    )
    rows = [
        states(model, [tokenizer.eos_token_id, *tokenizer(text.strip())["input_ids"]])["hook_resid_pre"][1:]
        for text in TEXTS
    ]
    scale = WIDTH**0.5 / float(torch.cat(rows).norm(dim=1).mean())
    assert added.check.scale == pytest.approx(scale, rel=1e-4)
    for one, wanted in zip(activations(workspace, added.store), rows, strict=True):
        np.testing.assert_allclose(one, codes(sae, wanted * scale), atol=1e-4)
    assert workspace.sae("owing").metadata["checked"]["scale"] == added.check.scale


def test_a_whitening_beside_the_sae_is_folded(folder, workspace):
    place = "blocks.1.hook_resid_pre"
    sae = write_sae(folder / "whitened", folder / "model", place, normalize_activations="covariance_whitening")
    generator = torch.Generator().manual_seed(0)
    mean, matrix = torch.randn(WIDTH, generator=generator), torch.randn(WIDTH, WIDTH, generator=generator)
    whitening = {"mean": mean, "matrix": matrix, "inverse_matrix": torch.linalg.inv(matrix).contiguous()}
    save_file(whitening, sae / "activation_whitening.safetensors")
    [added] = add(folder, workspace, sae)
    wanted = expected(folder, sae, "hook_resid_pre", True, coded=lambda rows: (rows - mean) @ matrix)
    for one, other in zip(activations(workspace, added.store), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * max(np.abs(other).max(), 1))


def test_an_older_saelens_config_is_read_like_a_new_one(folder, workspace):
    sae = write_sae(folder / "older", folder / "model", "blocks.1.attn.hook_z")
    cfg = json.loads((sae / "cfg.json").read_text())
    said = cfg.pop("metadata")
    cfg |= {**said, "hook_point": said["hook_name"], "normalize_activations": "none", "activation_fn_str": "relu"}
    del cfg["hook_name"], cfg["prepend_bos"]
    (sae / "cfg.json").write_text(json.dumps(cfg))
    [added] = add(folder, workspace, sae)
    for one, wanted in zip(
        activations(workspace, added.store), expected(folder, sae, "attn.hook_z", True), strict=True
    ):
        np.testing.assert_allclose(one, wanted, atol=1e-4)


def test_an_sae_that_fits_gets_every_table_and_its_jobs_without_force(folder, workspace):
    sae = write_sae(folder / "fitting", folder / "model", "blocks.1.hook_resid_pre", exact=True)
    [added] = add(folder, workspace, sae, force=False)
    assert added.check.fvu < 1e-6 and added.check.l0 == pytest.approx(WIDTH, abs=0.1)
    store = workspace.open_store(added.store)
    assert {"stats", "tokens", "influences", "neighbours", "map"} <= set(store.manifest["tables"])
    assert store.hook == "transformer.h.1.input" and store.manifest["quality"]["fvu_all"] < 1e-6
    done = {job.job_id: job.status for job in jobs(Catalog(workspace.catalog_url))}
    parts = ("check", "capture", "harvest", "core", "tables")
    assert [done[f"fitting/{part}"] for part in parts] == ["done"] * len(parts)


def test_decoder_rows_outside_of_the_residual_stream_promote_no_tokens(folder, workspace):
    sae = write_sae(folder / "outside", folder / "model", "blocks.1.attn.hook_z", exact=True)
    [added] = add(folder, workspace, sae)
    assert "influences" not in workspace.open_store(added.store).manifest["tables"]


def test_an_sae_that_rebuilds_nothing_stops_before_anything_is_computed(folder, tmp_path):
    workspace = Workspace(tmp_path / "w")
    sae = write_sae(tmp_path / "bad", folder / "model", "blocks.1.hook_resid_pre")
    with pytest.raises(
        BadInput, match=r"SAE 'bad' at transformer\.h\.1\.input does not look right.*\(FVU .*--force goes on"
    ):
        add(folder, workspace, sae, force=False)
    assert workspace.sae_ids() == [] and not (tmp_path / "w" / "activations").exists()


def test_an_l0_far_from_the_published_one_stops_too(folder, tmp_path):
    sae = write_sae(tmp_path / "wide", folder / "model", "blocks.1.hook_resid_pre", exact=True)
    cfg = json.loads((sae / "cfg.json").read_text())
    (sae / "cfg.json").write_text(json.dumps({**cfg, "architecture": "standard"}))
    save_file(
        {"sparsity": torch.full((2 * WIDTH,), -2.0)}, sae / "sparsity.safetensors"
    )  # each fires on 1 % of the tokens
    with pytest.raises(BadInput, match=r"16 latents fire per token where 0\.32 were published"):
        add(folder, Workspace(tmp_path / "w"), sae, force=False)


def test_contexts_are_as_long_as_the_sae_was_trained_on_and_another_dataset_gets_another_id(
    folder, tmp_path, workspace
):
    said = {"context_size": 12, "prepend_bos": False}
    short = write_sae(tmp_path / "short", folder / "model", "blocks.1.hook_resid_pre", metadata=said)
    long = write_sae(tmp_path / "long", folder / "model", "blocks.1.hook_resid_pre", metadata={"context_size": 4096})
    fresh = Workspace(tmp_path / "w")
    text = str(folder / "texts.jsonl")
    assert plan_all(Config(str(short), text), fresh).dataset.context_length == 12
    assert plan_all(Config(str(long), text), fresh).dataset.context_length == POSITIONS
    [added] = add(folder, fresh, long)
    assert added.store == "long@texts"
    assert plan_all(Config(str(short), text), fresh).dataset.id == "texts-model-12-plain"


@pytest.mark.parametrize(
    ("cfg", "said", "sentence"),
    [
        ({"architecture": "transcoder"}, {}, "is a transcoder"),
        ({}, {"hook_name_out": "blocks.1.hook_mlp_out"}, "predicts blocks.1.hook_mlp_out"),
        ({}, {"hook_head_index": 3}, "reads head 3 alone"),
        ({"normalize_activations": "covariance_whitening"}, {}, "activation_whitening.safetensors' is not beside it"),
        ({"normalize_activations": "tanh"}, {}, "tanh"),
        ({}, {"model_from_pretrained_kwargs": {"checkpoint_index": 9}}, "checkpoint_index=9"),
        ({}, {"hook_name": None}, "Name it with --hook"),
        ({}, {"model_name": None}, "Give it with --model"),
        ({"d_in": 99}, {}, "cannot be used"),
        ({}, {"hook_name": "blocks.1.mlp.hook_post"}, "does not fit: it reads rows of 16 values, and 64 come out"),
    ],
)
def test_what_cannot_be_done_as_it_was_trained_is_refused_clearly(folder, tmp_path, cfg, said, sentence):
    sae = write_sae(tmp_path / "odd", folder / "model", "blocks.1.hook_resid_pre", metadata=said, **cfg)
    with pytest.raises(BadInput, match=sentence):
        add(folder, Workspace(tmp_path / "w"), sae)


def test_an_sae_that_was_added_before_keeps_its_stages_when_it_is_brought_again(folder, workspace, tmp_path):
    said = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    sae = write_sae(tmp_path / "first", folder / "model", "blocks.1.hook_resid_pre", metadata=said)
    [added] = add(folder, workspace, sae)
    [again] = add(folder, workspace, workspace.sae_dir("first"), sae_id="second")
    assert again.stages == [{"stage": "centre"}]
    for one, other in zip(activations(workspace, added.store), activations(workspace, again.store), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_fingerprint_tells_readings_of_the_same_weights_apart(folder, workspace, tmp_path):
    plain = write_sae(tmp_path / "stages-none", folder / "model", "blocks.1.hook_resid_pre")
    said = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    centred = write_sae(tmp_path / "stages-one", folder / "model", "blocks.1.hook_resid_pre", metadata=said)
    for sae in (plain, centred):
        add(folder, workspace, sae)
    one, other = (workspace.sae(name).metadata["fingerprints"] for name in ("stages-none", "stages-one"))
    assert one["sae"] != other["sae"] and one["model"] == other["model"]
