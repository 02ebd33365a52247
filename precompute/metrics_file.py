"""metrics.jsonl of a training run: one JSON object per logged step, flushed at once so that a page can follow it."""

import json
import os
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends rows; on opening, everything after `step` is dropped, so that a resumed run repeats no step."""

    def __init__(self, path: Path, step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in _complete_lines(path) if json.loads(line)["step"] <= step]
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("".join(kept))
        temporary.replace(path)
        self._file = open(path, "a")  # noqa: SIM115 (closed by `close`)

    def append(self, row: dict[str, Any]) -> None:
        """Write one row, which must hold `step`."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Make what was written survive a crash of the machine."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _complete_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
