"""Training runs keep their configuration, latest and final metrics, and never claim to run when they do not."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.runs import SILENT, finish_run, repair_stale, runs, start_run, update_run
from loaders.errors import BadInput

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_run_is_listed_with_its_configuration_and_latest_metrics(catalog: Catalog) -> None:
    start_run(catalog, "r1", "minilm-l1", {"k": 32, "out": Path("saes/x")}, total_steps=400, now=NOON)
    update_run(catalog, "r1", 20, {"fvu": np.float32(0.5), "l0": np.int64(32)}, now=NOON + SECOND)
    (run,) = runs(catalog, now=NOON + 2 * SECOND)
    assert (run.run_id, run.sae_id, run.status, run.step, run.total_steps) == ("r1", "minilm-l1", "running", 20, 400)
    assert run.config == {"k": 32, "out": "saes/x"}
    assert run.latest_metrics == {"fvu": 0.5, "l0": 32}
    assert run.final_metrics is None
    assert (run.started_at, run.heartbeat, run.completed_at) == (NOON, NOON + SECOND, None)


def test_a_finished_run_carries_its_final_metrics_and_time(catalog: Catalog) -> None:
    start_run(catalog, "r1", "minilm-l1", {}, now=NOON)
    finish_run(catalog, "r1", "done", {"fvu": 0.09}, now=NOON + SECOND)
    (run,) = runs(catalog, now=NOON + timedelta(days=9))
    assert (run.status, run.final_metrics, run.completed_at) == ("done", {"fvu": 0.09}, NOON + SECOND)


def test_a_failed_run_carries_its_sentence(catalog: Catalog) -> None:
    start_run(catalog, "r1", "minilm-l1", {}, now=NOON)
    finish_run(catalog, "r1", "failed", {}, error_message="The disk is full.", now=NOON)
    assert runs(catalog)[0].error_message == "The disk is full."


def test_a_run_without_heartbeat_for_a_minute_is_reported_as_stopped(catalog: Catalog) -> None:
    start_run(catalog, "r1", "minilm-l1", {}, now=NOON)
    assert runs(catalog, now=NOON + 60 * SECOND)[0].status == "running"
    assert runs(catalog, now=NOON + 61 * SECOND)[0].status == "stopped"
    update_run(catalog, "r1", 1, {}, now=NOON + 90 * SECOND)
    assert runs(catalog, now=NOON + 91 * SECOND)[0].status == "running"


def test_a_resumed_run_keeps_its_first_start_and_step(catalog: Catalog) -> None:
    start_run(catalog, "r1", "minilm-l1", {"k": 1}, now=NOON)
    update_run(catalog, "r1", 50, {"fvu": 0.3}, now=NOON)
    finish_run(catalog, "r1", "stopped", {}, error_message="interrupted", now=NOON + SECOND)
    start_run(catalog, "r1", "minilm-l1", {"k": 1}, now=NOON + 5 * SECOND)
    (run,) = runs(catalog, now=NOON + 6 * SECOND)
    assert (run.status, run.started_at, run.step, run.latest_metrics) == ("running", NOON, 50, {"fvu": 0.3})
    assert (run.completed_at, run.error_message, run.final_metrics) == (None, None, None)


def test_runs_are_listed_latest_start_first(catalog: Catalog) -> None:
    for i, name in enumerate(["old", "new"]):
        start_run(catalog, name, "sae", {}, now=NOON + i * SECOND)
    assert [run.run_id for run in runs(catalog)] == ["new", "old"]


def test_metrics_that_are_not_finite_become_null(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {}, now=NOON)
    update_run(catalog, "r1", 1, {"a": float("nan"), "b": np.float32("inf"), "c": np.array([1.0, np.nan])})
    assert runs(catalog)[0].latest_metrics == {"a": None, "b": None, "c": [1.0, None]}


def test_a_run_that_was_never_started_cannot_be_updated_or_finished(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="Training run 'ghost' is not in the catalog"):
        update_run(catalog, "ghost", 1, {})
    with pytest.raises(BadInput, match="Training run 'ghost' is not in the catalog"):
        finish_run(catalog, "ghost", "done", {})


def test_a_run_cannot_end_as_running(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {})
    with pytest.raises(BadInput, match="ends as done, failed, stopped: found 'running'"):
        finish_run(catalog, "r1", "running", {})


def gone() -> int:
    """Id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_silent_runs_row_is_closed_at_its_last_heartbeat(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.runs.os.getpid", gone)
    start_run(catalog, "r1", "sae", {}, now=NOON)
    update_run(catalog, "r1", 20, {"fvu": 0.5}, now=NOON + SECOND)
    start_run(catalog, "r2", "sae", {}, now=NOON + 60 * SECOND)
    finish_run(catalog, "r2", "done", {}, now=NOON + 61 * SECOND)
    assert repair_stale(catalog, now=NOON + 61 * SECOND) == []
    assert repair_stale(catalog, now=NOON + 62 * SECOND) == ["r1"]
    assert repair_stale(catalog, now=NOON + 99 * SECOND) == []
    done, run = runs(catalog, now=NOON + 30 * SECOND)  # written: no clock decides any more
    assert (run.status, run.step, run.completed_at, run.error_message) == ("stopped", 20, NOON + SECOND, SILENT)
    assert run.final_metrics == {"fvu": 0.5} and done.status == "done"


def test_a_run_that_was_given_up_too_early_is_running_again_with_its_next_step(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.runs.os.getpid", gone)
    start_run(catalog, "r1", "sae", {}, now=NOON)
    repair_stale(catalog, now=NOON + 99 * SECOND)
    update_run(catalog, "r1", 1, {}, now=NOON + 100 * SECOND)
    (run,) = runs(catalog, now=NOON + 101 * SECOND)
    assert (run.status, run.completed_at, run.error_message, run.final_metrics) == ("running", None, None, None)


def test_a_silent_run_whose_process_lives_is_left_alone(catalog: Catalog) -> None:
    start_run(catalog, "r1", "sae", {}, now=NOON)
    assert repair_stale(catalog, now=NOON + 99 * SECOND) == []
