"""A guarded tracker gets numbers alone, and its failure stops nothing."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from loaders.errors import BadInput
from precompute.trackers.guarded import Guarded, numbers

RUN = "minilm-l3-1a2b3c4d"


class Failing:
    """Takes one row, then fails for good."""

    name = "failing"

    def __init__(self, fails_at_start: bool = False) -> None:
        self.fails_at_start, self.calls = fails_at_start, 0

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        if self.fails_at_start:
            raise OSError("no route to host\nsecond line")
        return 0

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        self.calls += 1
        if step > 1:
            raise OSError("no space left")

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        raise OSError("no space left")


def test_a_tracker_that_fails_in_mid_run_warns_once_and_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Failing()
    tracker = Guarded(failing)
    tracker.start(RUN, "x", {})
    for step in range(1, 6):
        tracker.log(step, {"loss": 1.0})
    tracker.finish("done", {})
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "'failing' failed at step 2" in said and "no space left" in said
    assert failing.calls == 2


def test_a_tracker_that_cannot_start_is_refused_before_training() -> None:
    with pytest.raises(BadInput, match=r"'failing' cannot start \(no route to host second line\)"):
        Guarded(Failing(fails_at_start=True)).start(RUN, "x", {})


def test_a_run_is_finished_once_and_takes_no_step_after_that(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Failing()
    tracker = Guarded(failing)
    tracker.finish("stopped", {})  # never started
    tracker.start(RUN, "x", {})
    tracker.finish("done", {})
    tracker.finish("stopped", {})
    tracker.log(1, {"loss": 1.0})
    assert capsys.readouterr().err.count("at the end of the run") == 1 and failing.calls == 0


def test_only_numbers_reach_a_tracker() -> None:
    found = numbers({"a": 1, "b": np.float32(2), "c": True, "d": None, "e": [1], "f": math.inf, "g": np.int64(3)})
    assert found.pop("f") != found  # NaN: no tool plots an infinity
    assert found == {"a": 1.0, "b": 2.0, "g": 3.0}
