"""Curves smoothed, and long ones thinned to an envelope that loses no spike at any zoom."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.training_curves import BUCKETS, OUTSIDE_BUCKETS, SHOWN_WHOLE, envelope, smooth

MILLION = 1_000_000
MOST_DRAWN = 2 * (BUCKETS + 2 * OUTSIDE_BUCKETS) + 6


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_the_envelope_keeps_every_stretchs_extremes_and_both_ends(values, buckets):
    y = np.array(values * 5)[: SHOWN_WHOLE + 300]
    y = np.concatenate([y, np.resize(y, max(0, SHOWN_WHOLE + 1 - y.size))])
    x = np.arange(y.size, dtype=float)
    kept = envelope(x, y, buckets=buckets)
    assert kept[0] == 0 and kept[-1] == y.size - 1 and np.all(np.diff(kept) > 0)
    assert kept.size <= 2 * buckets + 4
    edges = [0, *np.searchsorted(x, np.linspace(0, x[-1], buckets + 1)[1:-1]), y.size]
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        drawn, stretch = y[kept[(kept >= start) & (kept < end)]], y[start:end]
        assert stretch.size == 0 or (drawn.min(), drawn.max()) == (stretch.min(), stretch.max())


@pytest.mark.parametrize("is_log_x", [False, True])
@pytest.mark.parametrize("spike", [0, 7, 1_234, 765_432, MILLION - 1])
def test_a_one_step_spike_in_a_million_points_is_drawn_at_every_zoom(spike, is_log_x):
    x, y = np.arange(1, MILLION + 1, dtype=float), np.full(MILLION, 0.5)
    y[spike], y[(spike + 500_000) % MILLION] = 40.0, -40.0
    for width in (MILLION, 100_000, 5_000, 900, 10):
        window = (spike + 1 - width / 2, spike + 1 + width / 2)
        kept = envelope(x, y, window, is_log_x=is_log_x)
        assert spike in kept and (spike + 500_000) % MILLION in kept
        assert kept.size <= MOST_DRAWN + SHOWN_WHOLE
    assert spike in envelope(x, y, is_log_x=is_log_x)


def test_zoomed_in_every_single_point_is_drawn_and_one_beyond_on_either_side():
    x, y = np.arange(MILLION, dtype=float), np.random.default_rng(0).random(MILLION)
    kept = envelope(x, y, (500_000, 500_000 + SHOWN_WHOLE - 10))
    inside = kept[(kept >= 499_999) & (kept <= 500_000 + SHOWN_WHOLE - 9)]
    assert inside.tolist() == list(range(499_999, 500_000 + SHOWN_WHOLE - 8))
    assert kept[0] == 0 and kept[-1] == MILLION - 1, "the rest stays there as an envelope, to pan and to zoom out"
    assert kept.size < SHOWN_WHOLE + MOST_DRAWN


def test_on_a_logarithmic_axis_the_first_steps_are_not_squeezed_into_one_stretch():
    x = np.arange(1, MILLION + 1, dtype=float)
    kept = envelope(x, np.sin(x), is_log_x=True)
    assert (x[kept] < 1_000).sum() > 100
    assert (x[envelope(x, np.sin(x))] < 1_000).sum() < 5


def test_a_window_without_a_point_keeps_what_surrounds_it():
    x = np.arange(10.0)
    assert envelope(x, x, (3.2, 3.4)).tolist() == list(range(10))
    assert envelope(np.array([]), np.array([]), (0, 1)).size == 0
    assert envelope(x, x, (50, 60))[-1] == 9


def test_the_envelope_ignores_what_is_not_a_number():
    y = np.full(5_000, np.nan)
    y[2_500] = 3.0
    assert 2_500 in envelope(np.arange(5_000.0), y, buckets=10)


def test_smoothing_is_the_unbiased_moving_average():
    value = np.array([4.0, 2.0, 8.0])
    expected, average = [], 0.0
    for index, x in enumerate(value):
        average = 0.9 * average + 0.1 * x
        expected.append(average / (1 - 0.9 ** (index + 1)))
    assert smooth(value, 0.9) == pytest.approx(expected)
    assert smooth(value, 0.0) == pytest.approx(value)


def test_smoothing_passes_over_a_gap():
    smoothed = smooth(np.array([1.0, np.nan, 1.0, np.inf]), 0.5)
    assert smoothed[[0, 2]] == pytest.approx([1.0, 1.0])
    assert np.isnan(smoothed[[1, 3]]).all()


def test_smoothing_a_long_run_agrees_with_the_definition_at_its_end():
    value = np.random.default_rng(0).random(10_000)
    weights = 0.9 ** np.arange(10_000)[::-1]
    assert smooth(value, 0.9)[-1] == pytest.approx((value * weights).sum() / weights.sum())
