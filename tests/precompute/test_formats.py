"""SAEs go through every format and rebuild the same rows; the truth is each format's own formula in NumPy."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import harvest
from precompute.export_sae import export_sae
from precompute.formats import FORMATS, read_raw
from precompute.formats.raw import fold
from precompute.import_sae import Config, import_sae
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae, decode

_spec = importlib.util.spec_from_file_location("formats_reference", Path(__file__).with_name("formats_reference.py"))
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

D_IN, D_SAE = 12, 40
HELD = {
    "saelens": ("topk", "standard", "jumprelu", "gated"),
    "gemma_scope": ("jumprelu", "standard"),
    "sparsify": ("topk",),
    "dictionary_learning": ("topk", "standard", "jumprelu", "gated"),
}
PAIRS = [(name, architecture) for name, held in HELD.items() for architecture in held]
REFUSED = [(name, architecture) for name in HELD for architecture in INFERENCE if architecture not in HELD[name]]


def made(architecture):
    generator = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    biases = {name: 0.3 * normal(D_SAE) for name in INFERENCE[architecture].BIASES}
    if "threshold" in biases:
        biases["threshold"] = biases["threshold"].abs() + 0.2
    k = 5 if architecture == "topk" else None
    said = {"model_name": "a model", "hook_name": "a.hook", "layer_index": 4}
    return Sae(architecture, normal(D_SAE, D_IN) / 3, normal(D_SAE, D_IN) / 3, normal(D_IN), biases, k, said)


def rows(count=200):
    return np.random.default_rng(5).normal(size=(count, D_IN)) * 2


def rebuilt(sae, x):
    x = torch.from_numpy(x).float()
    return decode(sae, INFERENCE[sae.architecture].encode_sparse(sae, x)).numpy()


def assert_rebuilds(sae, wanted):
    np.testing.assert_allclose(rebuilt(sae, rows()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "architecture"), PAIRS)
def test_an_sae_that_leaves_and_comes_back_rebuilds_the_same_rows(name, architecture, tmp_path):
    sae, workspace = made(architecture), Workspace(tmp_path / "w")
    (tmp_path / "first").mkdir()
    FORMATS["saelens"].write(tmp_path / "first", sae)
    import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    export_sae(workspace, "one", name, tmp_path / "out")
    truth = getattr(reference, name)(tmp_path / "out", rows())
    np.testing.assert_allclose(truth, reference.saelens(tmp_path / "first", rows()), rtol=1e-5, atol=1e-5)
    import_sae(Config(str(tmp_path / "out"), "two", hook="other.hook"), workspace)
    back, cfg = load_sae(workspace.sae_dir("two"))
    assert_rebuilds(back, truth)
    assert (cfg["metadata"]["model_name"], cfg["metadata"]["hook_name"]) == ("a model", "other.hook")
    assert cfg["metadata"]["layer_index"] == 4
    assert cfg["metadata"]["fingerprints"]["sae"] == workspace.sae("two").fingerprint()


@pytest.mark.parametrize(("name", "architecture"), REFUSED)
def test_what_a_format_cannot_say_is_refused_and_leaves_nothing(name, architecture, tmp_path):
    workspace = Workspace(tmp_path / "w")
    (tmp_path / "first").mkdir()
    FORMATS["saelens"].write(tmp_path / "first", made(architecture))
    import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    with pytest.raises(BadInput, match=f"not {architecture} ones"):
        export_sae(workspace, "one", name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("architecture", INFERENCE)
def test_sparse_codes_are_exactly_the_positives_in_ascending_order(architecture):
    sae = made(architecture)
    active = INFERENCE[architecture].encode_sparse(sae, torch.from_numpy(rows()).float())
    assert (active.values > 0).all() and 0 < len(active.values) == active.indptr[-1] < 200 * D_SAE
    for start, stop in zip(active.indptr[:-1], active.indptr[1:], strict=True):
        assert (active.indices[start:stop].diff() > 0).all()


@pytest.mark.parametrize("architecture", INFERENCE)
def test_settings_of_saelens_are_folded(architecture, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(architecture))
    path = tmp_path / "cfg.json"
    changed = {"apply_b_dec_to_input": False, "normalize_activations": "expected_average_only_in"}
    changed |= {"rescale_acts_by_decoder_norm": True} if architecture == "topk" else {}
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(BadInput, match="--scale"):
        fold(read_raw(tmp_path))
    (tmp_path / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.7}))
    assert_rebuilds(fold(read_raw(tmp_path)), reference.saelens(tmp_path, rows()))


@pytest.mark.parametrize("kind", ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_batch_top_k_saes_are_read_as_jumprelu(kind, tmp_path):
    sae = made("jumprelu")
    names = {"encoder.weight": sae.w_enc, "decoder.weight": sae.w_dec.t(), "encoder.bias": sae.biases["b_enc"]}
    if kind == "MatryoshkaBatchTopKSAE":
        names = {"W_enc": sae.w_enc.t(), "W_dec": sae.w_dec, "b_enc": sae.biases["b_enc"]}
    torch.save({**names, "b_dec": sae.b_dec, "threshold": torch.tensor(0.4), "k": torch.tensor(5)}, tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": kind, "k": 5}}))
    assert_rebuilds(fold(read_raw(tmp_path)), reference.dictionary_learning(tmp_path, rows()))


def test_gemma_scopes_path_says_layer_and_embeddings_are_scaled(tmp_path):
    layer, embedding = tmp_path / "layer_7/width_16k/average_l0_70", tmp_path / "embedding/width_4k/average_l0_6"
    for directory in (layer, embedding):
        directory.mkdir(parents=True)
        FORMATS["gemma_scope"].write(directory, made("jumprelu"))
        (directory / "loupe.json").unlink()
    assert read_raw(layer).metadata == {"layer_index": 7, "average_l0": 70, "width": "16k"}
    root = D_IN**0.5
    assert_rebuilds(fold(read_raw(embedding)), reference.gemma_scope(embedding, rows() / root) * root)


def change(directory, file, **fields):
    path = directory / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("name", "file", "fields", "sentence"),
    [
        ("saelens", "cfg.json", {"normalize_activations": "tanh"}, "does not know \\(tanh\\)"),
        (
            "saelens",
            "cfg.json",
            {"normalize_activations": "layer_norm", "metadata": {"input_stages": [{"stage": "constant_norm_rescale"}]}},
            "its metadata constant_norm_rescale",
        ),
        ("saelens", "cfg.json", {"reshape_activations": "hook_mlp"}, "reshapes"),
        ("saelens", "cfg.json", {"architecture": "temporal"}, "none of gated, jumprelu, standard, topk"),
        ("sparsify", "cfg.json", {"transcode": True}, "is a transcoder"),
        ("sparsify", "cfg.json", {"skip_connection": True}, "skip connection"),
        ("sparsify", "cfg.json", {"multi_topk": True}, "multi_topk"),
        ("sparsify", "cfg.json", {"activation": "groupmax"}, "'groupmax'"),
        ("dictionary_learning", "config.json", {"trainer": {"dict_class": "CrossCoder"}}, "'CrossCoder'"),
    ],
)
def test_what_loupe_does_not_compute_is_refused_in_one_sentence(name, file, fields, sentence, tmp_path):
    FORMATS[name].write(tmp_path, made("topk"))
    change(tmp_path, file, **fields)
    with pytest.raises(BadInput, match=sentence):
        read_raw(tmp_path)


class Harmful:
    def __reduce__(self):
        return (print, ("a pickle ran",))


def test_a_pickle_of_more_than_tensors_is_not_run(tmp_path, capsys):
    FORMATS["dictionary_learning"].write(tmp_path, made("topk"))
    torch.save({"encoder.weight": Harmful()}, tmp_path / "ae.pt")
    with pytest.raises(BadInput, match="as tensors alone"):
        read_raw(tmp_path)
    assert "a pickle ran" not in capsys.readouterr().out


def test_taken_ids_full_folders_and_empty_ones_are_refused(tmp_path):
    workspace = Workspace(tmp_path / "w")
    (tmp_path / "first").mkdir()
    with pytest.raises(BadInput, match="no SAE that Loupe knows"):
        import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    FORMATS["saelens"].write(tmp_path / "first", made("gated"))
    import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    with pytest.raises(BadInput, match="exists already"):
        import_sae(Config(str(tmp_path / "first"), "one"), workspace)
    with pytest.raises(BadInput, match="not empty"):
        export_sae(workspace, "one", "saelens", tmp_path / "first")


@pytest.mark.parametrize("architecture", INFERENCE)
def test_an_imported_sae_of_any_architecture_is_harvested(architecture, planted, tmp_path):
    generator = torch.Generator().manual_seed(1)
    width = planted.rows.shape[1]
    sae = made(architecture)
    w = torch.nn.functional.normalize(torch.randn(D_SAE, width, generator=generator), dim=1)
    FORMATS["saelens"].write(tmp_path, replace(sae, w_enc=w, w_dec=w, b_dec=torch.zeros(width), extra={}))
    import_sae(Config(str(tmp_path), "come", model_id="planted", hook="hidden"), planted.workspace)
    store = harvest.run(harvest.Config("come", "words"), planted.workspace, Progress())
    x = planted.rows.astype(np.float64)
    quality = json.loads((store / "harvest.json").read_text())["quality"]
    residual = ((reference.saelens(tmp_path, x) - x) ** 2).sum()
    assert quality["fvu_all"] == pytest.approx(residual / ((x - x.mean(0)) ** 2).sum(), rel=1e-4)
    _, cfg = load_sae(planted.workspace.sae_dir("come"))
    assert set(cfg["metadata"]["fingerprints"]) == {"model", "sae"}


def test_half_precision_weights_become_float32(tmp_path):
    FORMATS["saelens"].write(tmp_path, made("standard"))
    halves = {
        name: tensor.to(torch.bfloat16) for name, tensor in load_file(tmp_path / "sae_weights.safetensors").items()
    }
    save_file(halves, tmp_path / "sae_weights.safetensors")
    sae = fold(read_raw(tmp_path))
    assert sae.w_enc.dtype == torch.float32 and torch.equal(sae.w_enc, halves["W_enc"].float().t())
