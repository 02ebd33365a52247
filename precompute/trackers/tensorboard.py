"""TensorBoard: one folder of event files per run, `<directory>/tensorboard/<run>`, flushed at every row."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loaders.workspace import slug
from precompute.trackers.tracker import import_extra


class TensorBoard:
    """Metrics as scalars; settings, status and final metrics as texts."""

    name = "tensorboard"

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "tensorboard"
        self._events = import_extra("tensorboard.backend.event_processing.event_accumulator", self.name)
        self._writers = import_extra("torch.utils.tensorboard", self.name)

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        """A resumed run writes a further file into the same folder, which TensorBoard shows as one run."""
        folder = self._directory / slug(run_id)
        self._last = self._last_step(folder)
        _wait_for_own_second(folder)
        self._writer = self._writers.SummaryWriter(str(folder))
        if not self._last:
            self._writer.add_text("config", _as_code({"name": name, **config}), 0)
        self._writer.flush()
        return self._last

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
        self._last = step

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        self._writer.add_text("final", _as_code({"status": status, **summary}), self._last)
        self._writer.close()

    def _last_step(self, folder: Path) -> int:
        """The largest step of any scalar, read by TensorBoard's own reader, which keeps one event of each in memory."""
        if not folder.is_dir():
            return 0
        found = self._events.EventAccumulator(str(folder), size_guidance={self._events.SCALARS: 1}).Reload()
        return max((found.Scalars(tag)[-1].step for tag in found.Tags()["scalars"]), default=0)


def _wait_for_own_second(folder: Path) -> None:
    """TensorBoard reads the files of a run by name: second, host, process. Two of one second might be read in disorder."""
    seconds = [int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*.*")]
    if int(time.time()) in seconds:
        time.sleep(1 - time.time() % 1)


def _as_code(values: Mapping[str, Any]) -> str:
    """JSON as a Markdown code block."""
    return "\n".join("    " + line for line in json.dumps(values, indent=1, default=str).splitlines())
