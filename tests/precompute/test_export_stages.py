"""An export rebuilds what the SAE does, its row stages included: by each format's own formula, on captured rows."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.doctor import examine
from precompute.export_sae import export_sae
from precompute.formats import FORMATS
from precompute.import_sae import Config, import_sae
from precompute.loss_recovered import reconstruct
from precompute.row_stages import RowStages
from precompute.sae_files import load_sae, write_sae
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae

D_IN, D_SAE, K = 12, 40, 5
CENTRE, NORM, RESCALE = {"stage": "centre"}, {"stage": "layer_norm"}, {"stage": "constant_norm_rescale"}
STANDARDISE = {"stage": "standardise", "by": "layer", "eps": 1e-5}
ORIGIN = {"hook": "blocks.1.hook_resid_pre", "reads": "transformer.h.1.input", "model": "gpt2-small"}
HERE = {"hook_name": "transformer.h.1.input", "model_name": "models/mine", "fingerprints": {}, "quality": {}}

_place = Path(__file__).with_name("formats_reference.py")
_spec = importlib.util.spec_from_file_location("formats_reference", _place)
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)


def made(architecture):
    generator = torch.Generator().manual_seed(3)
    biases = {name: 0.3 * torch.randn(D_SAE, generator=generator) for name in INFERENCE[architecture].BIASES}
    if "threshold" in biases:
        biases["threshold"] = biases["threshold"].abs() + 0.2
    w_enc, w_dec = (torch.randn(D_SAE, D_IN, generator=generator) / 3 for _ in range(2))
    b_dec = torch.randn(D_IN, generator=generator)
    return Sae(architecture, w_enc, w_dec, b_dec, biases, K if architecture == "topk" else None)


def rows():
    return np.random.default_rng(5).normal(size=(200, D_IN)) * 2 + 3


def keep(workspace, sae_id, architecture, stages, **metadata):
    write_sae(workspace.sae_dir(sae_id), made(architecture), {**HERE, "input_stages": stages, **metadata})


def rebuilt(directory):
    sae, cfg = load_sae(directory)
    return reconstruct(sae, torch.from_numpy(rows()).float(), RowStages.of(cfg["metadata"])).numpy()


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "w")


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        *(("saelens", architecture) for architecture in INFERENCE),
        *(("dictionary_learning", architecture) for architecture in INFERENCE),
        ("gemma_scope", "jumprelu"),
        ("sparsify", "topk"),
    ],
)
def test_centring_is_folded_into_every_format_and_loupe_reads_it_back_alike(workspace, tmp_path, name, architecture):
    keep(workspace, "one", architecture, [CENTRE])
    wanted = rebuilt(workspace.sae_dir("one"))
    target = export_sae(workspace, "one", name, tmp_path / "out")
    assert_close(getattr(reference, name)(target, rows()), wanted)
    assert_close(getattr(reference, name)(target, rows() - rows().mean(1, keepdims=True)), wanted)
    import_sae(Config(str(target), "two"), workspace)
    assert_close(rebuilt(workspace.sae_dir("two")), wanted)
    assert workspace.sae("two").metadata["hook_name"] == "transformer.h.1.input"


@pytest.mark.parametrize("stage", [NORM, RESCALE])
@pytest.mark.parametrize("architecture", INFERENCE)
def test_saelens_is_told_of_norms_of_each_row_in_its_own_words(workspace, tmp_path, architecture, stage):
    keep(workspace, "one", architecture, [stage])
    wanted = rebuilt(workspace.sae_dir("one"))
    target = export_sae(workspace, "one", "saelens", tmp_path / "out")
    assert_close(reference.saelens(target, rows()), wanted)
    assert_close(reference.saelens(target, rows()), normalised(target, stage))
    import_sae(Config(str(target), "two"), workspace)
    assert_close(rebuilt(workspace.sae_dir("two")), wanted)


def normalised(target, stage):
    """The plain SAE of the file between a norm, written out here, and its inverse."""
    cfg = json.loads((target / "cfg.json").read_text())
    (target / "cfg.json").write_text(json.dumps(cfg | {"normalize_activations": "none"}))
    x = rows()
    mean = x.mean(1, keepdims=True) if stage is NORM else 0.0
    factor = x.std(1, keepdims=True, ddof=1) if stage is NORM else np.linalg.norm(x, axis=1, keepdims=True) / D_IN**0.5
    return reference.saelens(target, (x - mean) / factor) * factor + mean


def test_a_file_of_saelens_that_normalises_rows_comes_in_with_its_stage_and_is_measured_with_it(workspace, tmp_path):
    (tmp_path / "first").mkdir()
    FORMATS["saelens"].write(tmp_path / "first", replace(made("standard"), extra={"input_stages": [NORM]}))
    cfg = json.loads((tmp_path / "first/cfg.json").read_text())
    (tmp_path / "first/cfg.json").write_text(json.dumps(cfg | {"metadata": {}}))  # as SAELens itself writes it
    import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    assert workspace.sae("one").metadata["input_stages"] == [NORM]
    assert_close(rebuilt(workspace.sae_dir("one")), reference.saelens(tmp_path / "first", rows()))
    report = examine(tmp_path / "first", torch.from_numpy(rows()).float())
    found = reference.saelens(tmp_path / "first", rows())
    fvu = np.square(found - rows()).sum() / np.square(rows() - rows().mean(0)).sum()
    assert report.measured["fvu"] == pytest.approx(fvu, rel=1e-4)
    assert "rows go through layer_norm before the SAE" in report.notes


@pytest.mark.parametrize("name", ["dictionary_learning", "gemma_scope", "sparsify"])
@pytest.mark.parametrize("stages", [[NORM], [RESCALE], [STANDARDISE], [CENTRE, NORM]])
def test_what_a_format_cannot_say_is_refused_with_the_stage_and_one_that_can(workspace, tmp_path, name, stages):
    keep(workspace, "one", "topk" if name == "sparsify" else "jumprelu", stages)
    with pytest.raises(BadInput, match=rf"'{stages[-1]['stage']}', which {name} cannot say.*--format saelens"):
        export_sae(workspace, "one", name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stages", "hook", "processing"),
    [
        ([STANDARDISE], "blocks.1.ln1.hook_normalized", {"fold_ln": True}),
        ([CENTRE, NORM], "blocks.1.hook_resid_pre", {"center_writing_weights": True}),
    ],
)
def test_rows_that_only_a_name_of_transformer_lens_says_are_named_so(workspace, tmp_path, stages, hook, processing):
    asked = {"model_from_pretrained_kwargs": processing}
    keep(workspace, "one", "standard", stages, origin={**ORIGIN, "hook": hook}, **asked)
    target = export_sae(workspace, "one", "saelens", tmp_path / "out")
    said = json.loads((target / "cfg.json").read_text())["metadata"]
    assert (said["hook_name"], said["model_name"]) == (hook, "gpt2-small")
    assert said["model_from_pretrained_kwargs"] == processing
    prepared = RowStages(stages).prepare(torch.from_numpy(rows())).numpy()
    assert_close(reference.saelens(target, prepared), rebuilt(workspace.sae_dir("one")))
    for name, missing in (("no-origin", asked), ("no-processing", {"origin": {**ORIGIN, "hook": hook}})):
        keep(workspace, name, "standard", stages, **missing)
        with pytest.raises(BadInput, match=f"'{stages[0]['stage']}'.*no format can say it"):
            export_sae(workspace, name, "saelens", tmp_path / name)


def test_saelens_is_not_asked_again_for_value_biases_that_the_weights_hold(workspace, tmp_path):
    origin = {**ORIGIN, "hook": "blocks.1.attn.hook_z"}
    asked = {"fold_value_biases": True, "fold_ln": True}
    keep(workspace, "one", "standard", [], origin=origin, model_from_pretrained_kwargs=asked)
    target = export_sae(workspace, "one", "saelens", tmp_path / "out")
    cfg = json.loads((target / "cfg.json").read_text())
    assert cfg["metadata"]["model_from_pretrained_kwargs"] == {"fold_ln": True}
    assert (cfg["metadata"]["hook_name"], cfg["reshape_activations"]) == ("blocks.1.attn.hook_z", "hook_z")


def test_the_name_that_a_file_gave_is_not_kept_for_a_hook_point_that_the_user_chose(workspace, tmp_path):
    keep(workspace, "one", "standard", [], origin={**ORIGIN, "reads": "transformer.h.2.input"})
    target = export_sae(workspace, "one", "saelens", tmp_path / "out")
    assert json.loads((target / "cfg.json").read_text())["metadata"]["hook_name"] == "transformer.h.1.input"
