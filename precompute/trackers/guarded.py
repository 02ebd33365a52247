"""A wrapper around any tracker: numbers alone, each step once, and a failure in mid-run is said once and stops nothing."""

import math
import sys
from collections.abc import Mapping
from typing import Any

from loaders.errors import BadInput
from precompute.trackers.tracker import Tracker


class Guarded:
    """Passes on what the tracker can take. After its first failure in mid-run the tracker is left alone."""

    def __init__(self, tracker: Tracker) -> None:
        self.name, self._tracker = tracker.name, tracker
        self._last, self._works = 0, False

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        """Raises BadInput where the tracker cannot start: better now than after hours of training."""
        try:
            self._last = self._tracker.start(run_id, name, config)
        except Exception as error:
            raise BadInput(
                f"Tracker '{self.name}' cannot start ({_one_line(error)}). Repair its settings, or leave it out."
            ) from error
        self._works = True
        return self._last

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Hand on the numbers among the metrics, unless the tracker holds that step from before an interruption."""
        if not self._works or step <= self._last:
            return
        self._last = step
        try:
            self._tracker.log(step, numbers(metrics))
        except Exception as error:
            self._give_up(f"at step {step}", error)

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        """Close the run, once; a tracker that was given up, or never started, is not asked."""
        if not self._works:
            return
        self._works = False
        try:
            self._tracker.finish(status, numbers(summary))
        except Exception as error:
            self._give_up("at the end of the run", error)

    def _give_up(self, when: str, error: Exception) -> None:
        self._works = False
        print(
            f"loupe: tracker '{self.name}' failed {when} and gets no more of this run ({_one_line(error)});"
            " metrics.jsonl has all of it",
            file=sys.stderr,
            flush=True,
        )


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the values, NumPy's included; lists, texts and truth values are left out, NaN is kept."""
    found = {}
    for name, value in metrics.items():
        value = value.item() if getattr(value, "ndim", None) == 0 else value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[name] = float(value) if isinstance(value, int) or math.isfinite(value) else float("nan")
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
