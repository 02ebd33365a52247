"""The tracker that every run has: rows of metrics.jsonl and the run's row in the catalog."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from precompute.metrics_file import MetricsFile
from precompute.run_record import RunRecord
from precompute.trackers.tracker import Tracker


class Local:
    """Both are opened by the trainer, which knows the step that it goes on from; both are exact, so nothing is guarded."""

    name = "local"

    def __init__(self, metrics: MetricsFile, record: RunRecord) -> None:
        self._metrics, self._record = metrics, record

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        """Rows beyond the step to go on from were dropped when the file was opened: no step is refused here."""
        return 0

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append the row, keep it in the catalog and make it the latest there."""
        row = {"step": step, **metrics}
        self._metrics.append(row)
        self._record.update(step, row, is_logged=True)

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        """Flush the file to the disk and close it; the catalog's row is closed by `recorded_run`."""
        self._metrics.sync()
        self._metrics.close()


def replay(path: Path, trackers: Iterable[Tracker]) -> None:
    """Hand the rows of an opened metrics.jsonl to trackers that have started, before the first step of a resumed run.

    Those that they hold are skipped: what a kill lost comes back, and a tracker that joins late gets the whole run.
    """
    for tracker in trackers:
        with open(path) as file:
            for line in file:
                row = json.loads(line)
                tracker.log(row.pop("step"), row)
