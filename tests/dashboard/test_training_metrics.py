"""A run's metrics.jsonl read as it grows, torn and very long ones included."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import training_metrics
from dashboard.training_metrics import MetricsFile, parse, read_all, read_curves


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
    monkeypatch.setattr(training_metrics, "parse", lambda lines: parsed.append(lines) or parse(lines))
    write(path, [{"step": 100, "loss": 0.5}], mode="a")
    assert file.read().series["loss"].step.size == 101
    assert parsed == [b'{"step": 100, "loss": 0.5}\n']


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
    assert read_curves(tmp_path / "metrics.jsonl") == ({}, -1, 0, True)


def test_a_diverged_run_is_still_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": NaN}\n{"step": 1, "loss": Infinity}\n{"step": 2, "loss": 1.0}\n')
    value = read_curves(path).series["loss"].value
    assert np.isnan(value[0]) and np.isinf(value[1]) and value[2] == 1.0


def test_a_long_file_is_read_in_several_calls_and_no_row_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(training_metrics, "CHUNK_BYTES", 1_000)
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": step, "loss": step / 2} for step in range(2_000)])
    file = MetricsFile(path)
    seen = [file.read(until=0.0)]  # the clock is past that: one chunk a call
    while not seen[-1].is_whole:
        seen.append(file.read(until=0.0))
    assert len(seen) > 10 and all(not curves.is_whole for curves in seen[:-1])
    assert [curves.step for curves in seen] == sorted({curves.step for curves in seen})
    assert seen[-1].series["loss"].value.tolist() == [step / 2 for step in range(2_000)]
    assert read_all([path, tmp_path / "nothing.jsonl"])[0].is_whole


def test_a_line_longer_than_a_chunk_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(training_metrics, "CHUNK_BYTES", 16)
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": 1, "note": "x" * 100, "loss": 1.0}, {"step": 2, "loss": 2.0}])
    curves = read_curves(path)
    assert curves.series["loss"].value.tolist() == [1.0, 2.0] and curves.is_whole


def test_curves_that_were_handed_out_stay_as_they_were_when_a_run_goes_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    write(path, [{"step": step, "loss": 9.0} for step in range(6)])
    before = file.read().series["loss"]
    write(path, [{"step": 3, "loss": 1.0}], mode="a")
    assert file.read().series["loss"].value.tolist() == [9.0, 9.0, 9.0, 1.0]
    assert before.value.tolist() == [9.0] * 6 and before.step.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("line", "is_row"),
    [
        (b'{"step": 1, "loss": "high", "seconds": "soon"}', True),
        (b'{"step": 1, "loss": true, "tags": ["a"], "more": {"x": 1}}', True),
        (b'{"step": 2.0, "loss": null}', True),
        (b'{"step": 1.5}', False),
        (b'{"step": true}', False),
        (b'{"step": 1e400}', False),
        (b'{"step": 99999999999999999999999}', False),
        (b'{"loss": 1}', False),
        (b"[" * 100_000, False),
        (b"\xff\xfe", False),
    ],
)
def test_a_row_counts_when_it_has_a_whole_step_and_only_numbers_are_metrics(line, is_row):
    for lines in (line + b"\n", line + b'\n{"step": 3}\n'):
        found = parse(lines)
        assert found.step.size == is_row + (lines.count(b"\n") - 1)
        assert found.skipped == (not is_row)
        assert all(values.size == 0 for _, values in found.metrics.values())
        assert all(math.isnan(seconds) for seconds in found.seconds)


def test_so_many_metrics_are_followed_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(training_metrics, "MOST_METRICS", 5)
    path = tmp_path / "metrics.jsonl"
    write(path, [{"step": 0, **{f"m{number}": 1.0 for number in range(20)}}, {"step": 1, "other": 2.0}])
    assert len(read_curves(path).series) == 5


@given(st.lists(st.tuples(st.integers(0, 6), st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5))), max_size=25))
def test_whole_chunks_and_single_lines_tell_the_same(tmp_path_factory, rows):
    lines = [json.dumps({"step": step, **values}).encode() + b"\n" for step, values in rows]
    path = tmp_path_factory.mktemp("same") / "metrics.jsonl"
    path.write_bytes(b"".join(lines))
    at_once = MetricsFile(path).read()
    path.write_bytes(b"")
    file = MetricsFile(path)
    for line in lines:
        with path.open("ab") as handle:
            handle.write(line)
        file.read()
    one_by_one = file.read()
    assert at_once.step == one_by_one.step and at_once.series.keys() == one_by_one.series.keys()
    for name, series in at_once.series.items():
        assert series.step.tolist() == one_by_one.series[name].step.tolist() == sorted(set(series.step.tolist()))
        assert series.value.tolist() == one_by_one.series[name].value.tolist()
