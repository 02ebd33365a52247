"""Distributions over features: every finite value is in one bin, bins are shared, and rounding is not drawn as a spread."""

import numpy as np
import pytest

from dashboard.figures.weights import BINS, Distribution, bin_edges, draw_distribution


def test_every_finite_value_is_counted_once_and_bins_are_shared() -> None:
    random = np.random.default_rng(0)
    found = [Distribution("a", random.normal(size=500)), Distribution("b", random.normal(3, 1, size=300))]
    found[0].values[:7] = [np.nan, np.inf, -np.inf, np.nan, np.nan, np.nan, np.nan]
    figure = draw_distribution(found, "length")
    assert [int(np.sum(bar.y)) for bar in figure.data] == [493, 300]
    np.testing.assert_array_equal(figure.data[0].x, figure.data[1].x)
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("length", "features")
    assert figure.layout.showlegend and [bar.name for bar in figure.data] == ["a", "b"]


def test_cosines_are_drawn_over_the_whole_range_with_the_mark() -> None:
    figure = draw_distribution(
        [Distribution("cosine", np.array([0.2, 0.95]))], "cosine", limits=(0, 1), mark=0.9, log=True
    )
    assert tuple(figure.layout.xaxis.range) == (0, 1) and figure.layout.yaxis.type == "log"
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1) == (0.9, 0.9)
    assert not figure.layout.showlegend


def test_values_beyond_the_limits_widen_them() -> None:
    edges = bin_edges(np.array([-0.4, 0.5]), (0, 1))
    assert (edges[0], edges[-1]) == (-0.4, 1)


@pytest.mark.parametrize("value", [1.0, 0.0, -3.0])
def test_values_that_are_all_the_same_stand_in_one_bin_in_the_middle(value: float) -> None:
    counts = np.asarray(draw_distribution([Distribution("norm", np.full(50, value, np.float32))], "norm").data[0].y)
    assert counts.sum() == 50 and counts.argmax() == BINS // 2 and counts.max() == 50


def test_no_values_at_all_draw_an_empty_axis() -> None:
    assert np.sum(draw_distribution([Distribution("x", np.array([np.nan]))], "x").data[0].y) == 0
