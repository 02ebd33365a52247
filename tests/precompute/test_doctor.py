"""Planted faults are found; what is right is left alone."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loupe.cli import main
from precompute.doctor import examine
from precompute.formats import FORMATS
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae

D_IN, D_SAE = 64, 48


@pytest.fixture
def directions():
    """Orthonormal, so that an SAE of them rebuilds sparse sums of them well."""
    return torch.linalg.qr(torch.randn(D_IN, D_SAE, generator=torch.Generator().manual_seed(0))).Q.t().contiguous()


@pytest.fixture
def rows(directions):
    """Each row a few of the directions."""
    generator = torch.Generator().manual_seed(1)
    codes = torch.rand(400, D_SAE, generator=generator) * (torch.rand(400, D_SAE, generator=generator) < 0.04)
    return 3 * codes @ directions


def made(directions, architecture):
    biases = {name: torch.zeros(D_SAE) for name in INFERENCE[architecture].BIASES}
    if "threshold" in biases:
        biases["threshold"] += 0.3
    k = 4 if architecture == "topk" else None
    return Sae(architecture, directions.clone(), directions.clone(), torch.zeros(D_IN), biases, k)


def damage(directory, change):
    path = directory / "sae_weights.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


@pytest.mark.parametrize("architecture", INFERENCE)
def test_a_sound_sae_has_no_problem_and_its_figures_are_measured(architecture, directions, rows, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, architecture))
    report = examine(tmp_path, rows)
    assert report.problems == [] and report.notes == [] and report.dead_rows == 0
    assert (report.format, report.architecture) == ("saelens", architecture)
    assert report.shapes["W_enc"] == [D_IN, D_SAE] and report.dtypes["W_dec"] == "float32"
    assert 0 <= report.measured["fvu"] < 0.3 and 0 < report.measured["l0"] < D_SAE and report.measured["rows"] == 400


def test_measured_fvu_and_l0_are_those_of_the_dense_formula(directions, rows, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, "jumprelu"))
    measured = examine(tmp_path, rows).measured
    x, d = rows.double().numpy(), directions.double().numpy()
    codes = np.where(x @ d.T > np.float32(0.3), x @ d.T, 0)
    assert measured["fvu"] == pytest.approx(((codes @ d - x) ** 2).sum() / ((x - x.mean(0)) ** 2).sum(), rel=1e-5)
    assert measured["l0"] == pytest.approx((codes > 0).sum() / len(x), rel=1e-3)


def transpose(tensors):
    tensors["W_enc"] = tensors["W_enc"].t()


def lose_threshold(tensors):
    del tensors["threshold"]


def negate_threshold(tensors):
    tensors["threshold"][:7] = -1


def spoil(tensors):
    tensors["W_dec"][3, 2] = torch.nan


def permute(tensors):
    tensors["W_dec"] = tensors["W_dec"].roll(1, dims=0)


def make_whole_numbers(tensors):
    tensors["W_dec"] = tensors["W_dec"].mul(10).int()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (transpose, "W_enc is transposed"),
        (lose_threshold, "needs threshold"),
        (negate_threshold, "threshold is negative for 7 latents"),
        (spoil, "W_dec holds 1 values that are not finite"),
        (permute, "count latents differently"),
        (make_whole_numbers, "wanted floating point"),
    ],
)
def test_a_planted_fault_is_named(change, sentence, directions, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, "jumprelu"))
    assert examine(tmp_path).problems == []
    damage(tmp_path, change)
    (problem,) = examine(tmp_path).problems
    assert sentence in problem


@pytest.mark.parametrize(
    ("name", "file", "key"), [("saelens", "cfg.json", "d_sae"), ("sparsify", "cfg.json", "num_latents")]
)
def test_a_config_of_other_sizes_is_named(name, file, key, directions, tmp_path):
    FORMATS[name].write(tmp_path, made(directions, "topk"))
    path = tmp_path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: 99}))
    (problem,) = examine(tmp_path).problems
    assert "its config says d_in, d_sae = (64, 99), the biases are of (64, 48)" in problem


FILES = {"saelens": "sae_weights.safetensors", "sparsify": "sae.safetensors"}
NAMES = {  # of the encoder and of a bias in each format's file
    "saelens": ("W_enc", "b_enc"),
    "gemma_scope": ("W_enc", "threshold"),
    "sparsify": ("encoder.weight", "encoder.bias"),
    "dictionary_learning": ("encoder.weight", "encoder.bias"),
}


def load(directory, name):
    if name in FILES:
        return load_file(directory / FILES[name])
    if name == "gemma_scope":
        with np.load(directory / "params.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return torch.load(directory / "ae.pt", weights_only=True)


def store(directory, name, tensors):
    tensors = {key: tensor.contiguous() for key, tensor in tensors.items()}
    if name in FILES:
        save_file(tensors, directory / FILES[name])
    elif name == "gemma_scope":
        np.savez(directory / "params.npz", **{key: tensor.numpy() for key, tensor in tensors.items()})
    else:
        torch.save(tensors, directory / "ae.pt")


@pytest.mark.parametrize("name", NAMES)
def test_in_every_format_a_transposed_a_missing_and_a_half_precision_tensor_are_named(name, directions, tmp_path):
    FORMATS[name].write(tmp_path, made(directions, "jumprelu" if name == "gemma_scope" else "topk"))
    sound, (encoder, bias) = load(tmp_path, name), NAMES[name]
    store(tmp_path, name, sound | {encoder: sound[encoder].t()})
    assert any("W_enc is transposed" in problem for problem in examine(tmp_path).problems)
    store(tmp_path, name, {key: tensor for key, tensor in sound.items() if key != bias})
    (problem,) = examine(tmp_path).problems
    assert f"needs {'threshold' if name == 'gemma_scope' else 'b_enc'}" in problem
    store(tmp_path, name, sound | {encoder: sound[encoder].half()})
    report = examine(tmp_path)
    assert report.problems == [] and "numbers are float16, float32; import makes them float32" in report.notes
    store(tmp_path, name, sound | {encoder: sound[encoder].mul(1e6).half()})
    (problem,) = examine(tmp_path).problems
    assert "W_enc holds" in problem and "not finite" in problem


def test_a_number_type_that_the_config_does_not_say_is_noted(directions, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, "topk"))
    store(tmp_path, "saelens", {key: tensor.bfloat16() for key, tensor in load(tmp_path, "saelens").items()})
    assert {"numbers are bfloat16; import makes them float32", "its config says float32"} <= set(
        examine(tmp_path).notes
    )


def test_other_norms_dead_rows_and_number_types_are_noted(directions, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, "standard"))

    def change(tensors):
        tensors["W_dec"] *= 2
        tensors["W_dec"][5:8] = 0
        tensors["W_enc"] = tensors["W_enc"].half()

    damage(tmp_path, change)
    report = examine(tmp_path)
    assert report.problems == [] and report.dead_rows == 3
    notes = " ".join(report.notes)
    assert "3 of 48 latents" in notes and "decoder norms are not 1 (2 to 2)" in notes and "float16" in notes


def test_an_unfolded_scale_is_found_in_the_file_and_on_rows(directions, rows, tmp_path):
    FORMATS["saelens"].write(tmp_path, made(directions, "jumprelu"))
    cfg = json.loads((tmp_path / "cfg.json").read_text())
    small = rows * 1e-2
    assert any("--scale" in problem for problem in examine(tmp_path, small).problems)
    (tmp_path / "cfg.json").write_text(json.dumps(cfg | {"normalize_activations": "expected_average_only_in"}))
    assert any("scale is not folded" in problem for problem in examine(tmp_path).problems)
    (tmp_path / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 100.0}))
    report = examine(tmp_path, small)
    assert report.problems == [] and "multiplied by 100" in report.notes[0] and report.measured["fvu"] < 0.5


def test_the_verbs_import_examine_and_export(directions, rows, tmp_path, capsys):
    source, workspace = tmp_path / "source", str(tmp_path / "w")
    source.mkdir()
    FORMATS["dictionary_learning"].write(source, made(directions, "gated"))
    np.save(tmp_path / "rows.npy", rows.numpy())
    assert main(["import", str(source), "--sae-id", "come", "--workspace", workspace, "--set", "s"]) == 0
    out = str(tmp_path / "out")
    assert main(["export", "come", "--format", "saelens", "--to", out, "--workspace", workspace]) == 0
    capsys.readouterr()
    assert main(["doctor", out, "--activations", str(tmp_path / "rows.npy"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["architecture"] == "gated" and report["problems"] == [] and report["measured"]["rows"] == 400
    damage(tmp_path / "out", transpose)
    assert main(["doctor", out]) == 1
    assert "PROBLEM: W_enc is transposed" in capsys.readouterr().out
    assert main(["doctor", out, "--hook", "h"]) == 2 and "needs all of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("text.npy", "holds no .npy array"),
        ("empty.npy", "must hold rows"),
        ("objects.npy", "holds no .npy array"),
        ("many.npz", "is an archive of arrays"),
        ("wide.npy", "7 columns; the SAE reads 64"),
    ],
)
def test_activations_that_cannot_be_used_are_refused_in_a_sentence(name, sentence, directions, tmp_path, capsys):
    FORMATS["saelens"].write(tmp_path, made(directions, "topk"))
    (tmp_path / "text.npy").write_text("rows")
    np.save(tmp_path / "empty.npy", np.zeros((0, 64), np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", rows=np.zeros((5, 64)))
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).normal(size=(5, 7)))
    assert main(["doctor", str(tmp_path), "--activations", str(tmp_path / name)]) > 0
    printed = capsys.readouterr()
    assert sentence in printed.out + printed.err


def test_a_path_that_does_not_exist_is_called_so(tmp_path):
    (problem,) = examine(tmp_path / "nowhere").problems
    assert "does not exist" in problem
