"""A trained SAE, damaged in each way that its shapes do not show, is convicted by its FVU on the rows that it was trained on."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from precompute.activations import Activations
from precompute.doctor import examine
from precompute.export_sae import export_sae
from precompute.formats import gemma_scope, saelens
from precompute.saes.sae import Sae

WEIGHTS = "sae_weights.safetensors"


@pytest.fixture(scope="module")
def rows(workspace):
    found = Activations.open(workspace.activations_dir("tiny", "texts", "encoder.layer.0"))
    return torch.from_numpy(found.read(0, 3_000)).float()


@pytest.fixture
def checkpoint(workspace, tmp_path):
    """The real SAE of the session's workspace, as it is exported."""
    return export_sae(workspace, "tiny-l0", "saelens", tmp_path / "sae")


def damage(directory, change=None, **fields):
    tensors, cfg = load_file(directory / WEIGHTS), json.loads((directory / "cfg.json").read_text())
    if change is not None:
        change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, directory / WEIGHTS)
    (directory / "cfg.json").write_text(json.dumps(cfg | fields))


def test_what_was_exported_is_sound(checkpoint, rows):
    report = examine(checkpoint, rows)
    assert report.problems == [] and report.measured["fvu"] < 0.3


def test_decoder_norms_counted_twice_are_named(checkpoint, rows):
    norms = torch.linspace(2, 5, 128)[:, None]
    damage(checkpoint, lambda tensors: tensors.update(W_dec=tensors["W_dec"] * norms))
    report = examine(checkpoint, rows)
    (problem,) = report.problems
    assert "decoder norms are in the encoder and in the decoder: FVU falls from" in problem
    assert any("decoder norms are not 1 (2 to 5)" in note for note in report.notes)


def test_a_top_k_that_ranks_times_decoder_norms_is_named_and_the_flag_heals_it(checkpoint, rows):
    norms = torch.logspace(-2, 2, 128)[torch.randperm(128, generator=torch.Generator().manual_seed(0))]

    def unfold(tensors):
        tensors["W_dec"] = tensors["W_dec"] * norms[:, None]
        tensors["W_enc"], tensors["b_enc"] = tensors["W_enc"] / norms, tensors["b_enc"] / norms

    damage(checkpoint, unfold)
    (problem,) = examine(checkpoint, rows).problems
    assert "set rescale_acts_by_decoder_norm to true" in problem
    damage(checkpoint, rescale_acts_by_decoder_norm=True)
    report = examine(checkpoint, rows)
    assert report.problems == [] and "import folds those into the encoder" in report.notes[0]


def test_an_activation_scale_is_named_with_its_size(checkpoint, rows):
    factor = 32**0.5 / float(rows[::2].norm(dim=1).mean())

    def unfold(tensors):
        tensors["W_enc"] = tensors["W_enc"] / factor
        tensors["W_dec"], tensors["b_dec"] = tensors["W_dec"] * factor, tensors["b_dec"] * factor

    damage(checkpoint, unfold)
    (problem,) = examine(checkpoint, rows / 20).problems
    assert "an activation scale is not folded into the weights: FVU falls from" in problem
    assert problem.endswith(f"import with --scale {20 * factor:.4g}")


@pytest.mark.parametrize("names", ["W_enc", "W_dec", "W_enc and W_dec"])
def test_a_square_matrix_the_wrong_way_round_is_named(names, tmp_path):
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(48, 48, generator=generator)).Q.contiguous()
    codes = torch.rand(600, 48, generator=generator) * (torch.rand(600, 48, generator=generator) < 0.06)
    rows = 3 * codes @ basis
    saelens.write(tmp_path, Sae("topk", basis, basis, torch.zeros(48), {"b_enc": torch.zeros(48)}, 6))
    assert examine(tmp_path, rows).problems == []

    def transpose(tensors):
        tensors.update({name: tensors[name].t() for name in names.split(" and ")})

    damage(tmp_path, transpose)
    assert any(
        f"{names} looks transposed, which its square shape hides" in text for text in examine(tmp_path, rows).problems
    )
    (problem,) = [text for text in examine(tmp_path, rows).problems if "FVU" in text]
    assert problem.endswith("transpose it")


@pytest.mark.parametrize("takes_b_dec", [True, False])
def test_an_encoder_that_reads_x_or_x_minus_b_dec_is_told_from_the_other(takes_b_dec, checkpoint, rows):
    shift = torch.full((32,), 3.0)

    def move(tensors):
        if not takes_b_dec:
            tensors["b_enc"] = tensors["b_enc"] - tensors["b_dec"] @ tensors["W_enc"]

    far = rows + shift
    damage(checkpoint, lambda tensors: tensors.update(b_dec=tensors["b_dec"] + shift))
    damage(checkpoint, move, apply_b_dec_to_input=takes_b_dec)
    assert examine(checkpoint, far).problems == []
    damage(checkpoint, apply_b_dec_to_input=not takes_b_dec)
    (problem,) = examine(checkpoint, far).problems
    assert f"set apply_b_dec_to_input to {str(takes_b_dec).lower()}" in problem


def test_thresholds_that_count_times_decoder_norms_are_named(tmp_path):
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(64, 48, generator=generator)).Q.t().contiguous()
    rows = torch.rand(600, 48, generator=generator) * (torch.rand(600, 48, generator=generator) < 0.06) @ basis
    norms = torch.logspace(0, 2, 48)[:, None]
    biases = {"b_enc": torch.zeros(48), "threshold": torch.full((48,), 0.2)}
    saelens.write(tmp_path, Sae("jumprelu", basis / norms, basis * norms, torch.zeros(64), biases))
    (problem,) = examine(tmp_path, rows).problems
    assert "thresholds count latents times their decoder norms: FVU falls from" in problem


def test_a_scale_that_the_file_says_and_the_weights_hold_is_named(checkpoint, rows):
    damage(checkpoint, normalize_activations="expected_average_only_in")
    (checkpoint / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 0.01}))
    (problem,) = examine(checkpoint, rows).problems
    assert "0.01 of the file is folded into the weights already" in problem and problem.endswith(
        "import with --scale 1"
    )


@pytest.mark.parametrize("spoilt", ["rows", "weights"])
def test_other_activations_and_untrained_weights_are_implausible(spoilt, checkpoint, rows):
    generator = torch.Generator().manual_seed(0)

    def start_again(tensors):
        w = torch.nn.functional.normalize(torch.randn(128, 32, generator=generator), dim=1)
        tensors |= {"W_enc": w.t(), "W_dec": w}

    if spoilt == "rows":
        rows = rows.flip(1) * 2  # as if from a model whose dimensions have other meanings
    else:
        damage(checkpoint, start_again)
    problems = examine(checkpoint, rows).problems
    assert len(problems) == 1 and "implausible" in problems[0]


def test_decoder_rows_in_another_order_are_named_with_the_fvu_that_they_cause(checkpoint, rows):
    damage(checkpoint, lambda tensors: tensors.update(W_dec=tensors["W_dec"].roll(1, dims=0)))
    order, fvu = examine(checkpoint, rows).problems
    assert "encoder and decoder count latents differently" in order and "implausible" in fvu


def test_a_lost_threshold_shows_in_how_many_latents_fire(tmp_path):
    generator = torch.Generator().manual_seed(0)
    w = torch.nn.functional.normalize(torch.randn(48, 16, generator=generator), dim=1)
    saelens.write(tmp_path, Sae("standard", w / 3, w / 2, torch.zeros(16), {"b_enc": torch.full((48,), 0.5)}))
    rows = torch.randn(500, 16, generator=generator)
    assert any("which is not sparse" in problem for problem in examine(tmp_path, rows).problems)
    damage(tmp_path, lambda tensors: tensors.update(b_enc=torch.full((48,), -100.0)))
    assert any("no latent fires" in problem for problem in examine(tmp_path, rows).problems)


def test_a_threshold_under_an_architecture_that_does_not_read_it_is_named(tmp_path):
    generator = torch.Generator().manual_seed(0)
    w = torch.nn.functional.normalize(torch.randn(48, 16, generator=generator), dim=1)
    biases = {"b_enc": torch.zeros(48), "threshold": torch.full((48,), 0.5)}
    saelens.write(tmp_path, Sae("jumprelu", w, w, torch.zeros(16), biases))
    damage(tmp_path, architecture="standard")
    (problem,) = examine(tmp_path).problems
    assert "holds threshold, which a standard SAE does not read" in problem


def test_thresholds_of_zero_are_noted(tmp_path):
    w = torch.nn.functional.normalize(torch.randn(48, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    gemma_scope.write(tmp_path, Sae("standard", w, w, torch.zeros(16), {"b_enc": torch.zeros(48)}))
    assert "every threshold is 0: it does what a standard SAE does" in examine(tmp_path).notes


@pytest.mark.parametrize("value", [1.0, torch.nan])
def test_rows_that_say_nothing_are_refused_as_such(value, checkpoint):
    (problem,) = examine(checkpoint, torch.full((20, 32), value)).problems
    assert "nothing can be measured" in problem
