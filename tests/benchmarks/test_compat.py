"""The comparison with the real packages fails where it must; what it committed held."""

import json

import numpy as np
import pytest

from benchmarks.compat import ENVIRONMENTS, failures, largest_difference, values_of
from benchmarks.result import RESULTS
from precompute.export_sae import export_sae
from precompute.formats import read_raw
from precompute.formats.raw import fold


def found(**changes):
    case = {"read": {"rebuilt": 1e-7, "codes": 0.0}, "written": {"saelens": 1e-7}, "keeps_metadata": True}
    return {"saelens": {"cases": {"topk": case | changes}, "refused": {"transcoder": "It is a transcoder."}}}


def test_what_agrees_is_no_failure():
    assert failures(found()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"read": {"rebuilt": 2e-5, "codes": 0.0}},
        {"read": {"rebuilt": 0.0, "codes": float("nan")}},
        {"written": {"saelens": 1e-3}},
        {"written": {"saelens": 1e-7}, "keeps_metadata": False},
    ],
)
def test_a_difference_a_nan_and_lost_metadata_are_failures(changes):
    (words,) = failures(found(**changes))
    assert words.startswith("saelens topk")


def test_what_was_read_although_it_must_be_refused_is_a_failure():
    result = found()
    result["saelens"]["refused"]["transcoder"] = None
    assert failures(result) == ["saelens transcoder was read"]


def test_differences_are_relative_to_the_largest_value():
    assert largest_difference(np.array([1.0, 200.0]), np.array([2.0, 200.0])) == pytest.approx(0.005)


def test_values_are_the_codes_and_what_they_rebuild(workspace, tmp_path):
    sae = fold(read_raw(export_sae(workspace, "tiny-l0", "saelens", tmp_path / "sae")))
    rows = np.random.default_rng(0).normal(size=(50, sae.d_in)).astype(np.float32)
    values = values_of(sae, rows)
    assert values.codes.shape == (50, sae.d_sae) and (values.codes > 0).sum(1).max() == sae.k
    np.testing.assert_allclose(values.rebuilt, values.codes @ sae.w_dec.numpy() + sae.b_dec.numpy(), atol=1e-4)


def test_the_committed_result_holds_every_package_and_no_failure():
    figures = json.loads((RESULTS / "compat.json").read_text())["figures"]
    assert set(figures["peers"]) == set(ENVIRONMENTS)
    assert figures["failed"] == [] and failures(figures["peers"]) == []
