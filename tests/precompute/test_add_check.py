import pytest
import torch

from loaders.errors import BadInput
from precompute.add_check import Check, as_read, check, estimate_scale, implausible, refusal, suspicion
from precompute.add_place import Reading
from precompute.formats.raw import Raw
from precompute.hook_names import Place
from precompute.row_stages import RowStages

WIDTH = 8
READING = Reading(Place("somewhere"), [], None, "somewhere")


@pytest.fixture
def rows():
    return torch.randn(3000, WIDTH, generator=torch.Generator().manual_seed(0)) * 0.01


@pytest.fixture
def raw():
    """Rebuilds rows exactly, as far as their parts are larger than 0.05."""
    eye = torch.eye(WIDTH)
    tensors = {"W_enc": torch.cat([eye, -eye], 1), "W_dec": torch.cat([eye, -eye]), "b_dec": torch.zeros(WIDTH)}
    return Raw(
        "saelens", "jumprelu", {**tensors, "b_enc": torch.zeros(2 * WIDTH), "threshold": torch.full((2 * WIDTH,), 0.05)}
    )


def test_the_check_is_the_definition_of_fvu_and_l0(rows, raw):
    large = rows * 100
    sae = as_read(raw, READING)
    found = check(sae, RowStages(), large)
    kept = torch.where(large.abs() > 0.05, large, 0)
    deviation = (large - large.mean(0)).square().sum()
    assert found.fvu == pytest.approx(float((kept - large).square().sum() / deviation), rel=1e-4)
    assert found.l0 == pytest.approx(float((kept != 0).sum(1).float().mean())) and found.rows == 3000


def test_a_row_norm_is_measured_in_the_rows_own_units(rows, raw):
    found = check(as_read(raw, READING), RowStages([{"stage": "constant_norm_rescale"}]), rows)
    inside = rows * WIDTH**0.5 / rows.norm(dim=1, keepdim=True)
    lost = torch.where(inside.abs() > 0.05, 0, inside) * rows.norm(dim=1, keepdim=True) / WIDTH**0.5
    wanted = float(lost.square().sum() / (rows - rows.mean(0)).square().sum())
    assert found.fvu == pytest.approx(wanted, rel=1e-3)


def test_rows_of_another_width_do_not_fit(rows, raw):
    with pytest.raises(BadInput, match="reads rows of 8 values, and 5 come out"):
        check(as_read(raw, READING), RowStages(), rows[:, :5])


@pytest.mark.parametrize(
    ("found", "published", "sentence"),
    [
        (Check(1.0, 5, 9), None, "worse than their mean"),
        (Check(float("nan"), 5, 9), None, "worse than their mean"),
        (Check(0.5, 0, 9), None, "none of its latents fires"),
        (Check(0.5, 10, 9), 31, "10 latents fire per token where 31 were published"),
        (Check(0.5, 100, 9), 33, "100 latents fire per token where 33 were published"),
        (Check(0.5, 60, 9), None, "60 of its 100 latents fire per token"),
        (Check(0.99, 10, 9), 29, None),
        (Check(0.1, 50, 9), None, None),
        (Check(0.1, 60, 9), 60, None),
    ],
)
def test_what_is_not_plausible(found, published, sentence):
    said = implausible(found, 100, published)
    assert said is None if sentence is None else sentence in said


def test_a_missing_scale_is_suspected_by_name(rows, raw):
    said = suspicion(raw, READING, rows)
    assert "an activation scale is not folded into the weights" in said and "--scale" in said
    assert suspicion(raw, READING, rows * 100) == ""
    assert float(said.split("--scale ")[1].rstrip(".")) == pytest.approx(estimate_scale(READING, rows), rel=1e-2)


def test_all_that_fail_are_counted_in_one_refusal():
    assert str(refusal(["A fails."])).startswith("A fails. Is it")
    assert "A fails. 2 more of the SAEs fail too. Is it" in str(refusal(["A fails.", "B fails.", "C fails."]))
