import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.training_curves import MetricsFile, read_curves, smooth, thin


def write(path, rows, mode="w"):
    with path.open(mode) as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def test_rows_become_one_series_per_metric(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": 0, "loss": 2.0, "seconds": 0.1}, {"step": 0, "fvu_held_out": 0.9}, {"step": 1, "loss": 1.0}])
    curves = read_curves(path)
    assert curves.step == 1
    assert curves.series["loss"].step.tolist() == [0, 1]
    assert curves.series["loss"].value.tolist() == [2.0, 1.0]
    assert curves.series["loss"].seconds[0] == 0.1 and np.isnan(curves.series["loss"].seconds[1])
    assert curves.series["fvu_held_out"].value.tolist() == [0.9]
    assert "seconds" not in curves.series and "step" not in curves.series


def test_a_line_that_is_being_written_is_read_once_it_is_complete(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    path.write_bytes(b'{"step": 0, "loss": 2.0}\n{"step": 1, "lo')
    assert file.read().series["loss"].value.tolist() == [2.0]
    with path.open("ab") as handle:
        handle.write(b'ss": 1.5}\n')
    curves = file.read()
    assert curves.series["loss"].value.tolist() == [2.0, 1.5]
    assert curves.skipped == 0


def test_only_the_new_lines_are_parsed(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    write(path, [{"step": step, "loss": 1.0} for step in range(100)])
    file.read()
    parsed = []
    real = json.loads
    monkeypatch.setattr("dashboard.training_curves.json.loads", lambda line: parsed.append(line) or real(line))
    write(path, [{"step": 100, "loss": 0.5}], mode="a")
    assert file.read().series["loss"].step.size == 101
    assert len(parsed) == 1


def test_a_resumed_run_replaces_the_steps_it_repeats(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": step, "loss": 9.0} for step in range(6)] + [{"step": 5, "fvu_held_out": 0.8}])
    write(path, [{"step": 3, "loss": 1.0}, {"step": 4, "loss": 1.0}], mode="a")
    curves = read_curves(path)
    assert curves.series["loss"].step.tolist() == [0, 1, 2, 3, 4]
    assert curves.series["loss"].value.tolist() == [9.0, 9.0, 9.0, 1.0, 1.0]
    assert "fvu_held_out" not in curves.series, "what was measured on the steps that were undone is gone"


def test_a_crashed_half_line_is_passed_over_and_counted(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 0, "loss": 2.0}\n{"step": 1, "lo{"step": 1, "loss": 1.0}\n[1]\n\n{"step": 2, "loss": 0.5}\n'
    )
    curves = read_curves(path)
    assert curves.series["loss"].step.tolist() == [0, 2]
    assert curves.skipped == 2


def test_a_run_started_anew_is_read_from_its_start(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    write(path, [{"step": step, "loss": 9.0} for step in range(50)])
    file.read()
    write(path, [{"step": 0, "loss": 1.0}])
    assert file.read().series["loss"].value.tolist() == [1.0]


def test_a_run_without_a_file_has_no_curves(tmp_path):
    assert read_curves(tmp_path / "metrics.jsonl") == ({}, -1, 0)


def test_a_diverged_run_is_still_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": NaN}\n{"step": 1, "loss": Infinity}\n{"step": 2, "loss": 1.0}\n')
    value = read_curves(path).series["loss"].value
    assert np.isnan(value[0]) and np.isinf(value[1]) and value[2] == 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40))
def test_thinning_keeps_every_stretchs_extremes_and_both_ends(values, buckets):
    value = np.array(values)
    kept = thin(value, buckets)
    assert kept[0] == 0 and kept[-1] == value.size - 1
    assert np.all(np.diff(kept) > 0)
    assert kept.size <= 2 * buckets + 2
    edges = np.linspace(0, value.size, buckets + 1).astype(int)
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        drawn = value[kept[(kept >= start) & (kept < end)]]
        stretch = value[start:end]
        assert stretch.size == 0 or (drawn.min(), drawn.max()) == (stretch.min(), stretch.max())


def test_a_single_spike_among_a_hundred_thousand_steps_is_drawn():
    value = np.ones(100_000)
    value[43_210] = 50.0
    kept = thin(value, 200)
    assert 43_210 in kept
    assert kept.size <= 402


def test_thinning_ignores_what_is_not_a_number():
    value = np.full(1_000, np.nan)
    value[500] = 3.0
    assert 500 in thin(value, 10)


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
