import pytest
import torch

from loaders.errors import BadInput
from precompute.row_stages import RowStages
from precompute.saes.sae import Sae

WIDTH, FEATURES = 12, 40
STANDARDISE = {"stage": "standardise", "by": "layer", "eps": 1e-5}


@pytest.fixture
def rows():
    return torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(0)) * 3 + 1


@pytest.fixture
def sae():
    generator = torch.Generator().manual_seed(1)
    made = [torch.randn(*shape, generator=generator) for shape in ((FEATURES, WIDTH), (FEATURES, WIDTH), (WIDTH,))]
    return Sae("standard", *made, {"b_enc": torch.randn(FEATURES, generator=generator)})


def codes(sae, inside):
    """The formula of a ReLU SAE, dense."""
    return ((inside - sae.b_dec) @ sae.w_enc.t() + sae.biases["b_enc"]).relu()


def dense(active, rows):
    made = torch.zeros(rows, FEATURES)
    made[torch.repeat_interleave(torch.arange(rows), active.indptr.diff()), active.indices] = active.values
    return made


@pytest.mark.parametrize(
    ("stage", "inside"),
    [
        ("constant_norm_rescale", lambda x: x * WIDTH**0.5 / x.norm(dim=1, keepdim=True)),
        ("layer_norm", lambda x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)),
    ],
)
def test_row_norms_are_undone_on_what_is_rebuilt(rows, sae, stage, inside):
    found = RowStages([{"stage": stage}]).code(sae, rows)
    wanted = codes(sae, inside(rows))
    torch.testing.assert_close(dense(found.active, len(rows)), wanted, rtol=1e-4, atol=1e-4)
    outside = wanted @ sae.w_dec + sae.b_dec
    if stage == "layer_norm":
        outside = outside * rows.std(1, keepdim=True) + rows.mean(1, keepdim=True)
    else:
        outside = outside * rows.norm(dim=1, keepdim=True) / WIDTH**0.5
    torch.testing.assert_close(found.rebuilt, outside, rtol=1e-4, atol=1e-3)
    assert found.rows is rows


def test_stages_of_the_model_change_what_is_rebuilt(rows, sae):
    found = RowStages([{"stage": "centre"}, {"stage": "constant_norm_rescale"}]).code(sae, rows)
    centred = rows - rows.mean(1, keepdim=True)
    torch.testing.assert_close(found.rows, centred)
    wanted = codes(sae, centred * WIDTH**0.5 / centred.norm(dim=1, keepdim=True))
    torch.testing.assert_close(dense(found.active, len(rows)), wanted, rtol=1e-4, atol=1e-4)


def test_standardised_rows_are_those_of_a_norm_without_weights(rows):
    layer = torch.nn.functional.layer_norm(rows, (WIDTH,))
    torch.testing.assert_close(RowStages([STANDARDISE]).prepare(rows), layer)
    rms = torch.nn.functional.rms_norm(rows, (WIDTH,), eps=1e-6)
    torch.testing.assert_close(RowStages([{**STANDARDISE, "by": "rms", "eps": 1e-6}]).prepare(rows), rms)


def test_an_sae_without_stages_reads_rows_as_they_are(rows, sae):
    stages = RowStages.of({"model_name": "m"})
    found = stages.code(sae, rows)
    assert stages.stages == [] and found.rows is rows
    torch.testing.assert_close(found.rebuilt, codes(sae, rows) @ sae.w_dec + sae.b_dec, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "listed", [["whiten"], [{"stage": "exec"}], "centre", [{"stage": "standardise", "by": "max", "eps": 1}], [3]]
)
def test_stages_that_are_not_known_are_refused(listed):
    with pytest.raises(BadInput, match=r"stage|does not compute"):
        RowStages.of({"input_stages": listed})
