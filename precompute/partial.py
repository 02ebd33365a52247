"""A directory that is filled step by step under a temporary name, remembers how far it came, and appears when it is whole."""

import json
import os
import shutil
import time
from pathlib import Path

from precompute.disk import write_whole

MARKER = "unfinished.json"
NOTE_SECONDS = 2.0  # between two notes at least: each waits for the disk


class Partial:
    """`path` is the temporary directory, `done` how many units of it are on the disk; kept between runs of one `source`."""

    def __init__(self, target: Path, source: str) -> None:
        self.target, self.path, self._source = target, target.with_name(target.name + ".tmp"), source
        self.done, self._noted = self._found(), float("-inf")
        if not self.done:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)

    def _found(self) -> int:
        try:
            marker = json.loads((self.path / MARKER).read_text())
            return int(marker["done"]) if marker["source"] == self._source else 0
        except (OSError, ValueError, KeyError, TypeError):  # never begun, or torn: begin anew
            return 0

    def advance(self, done: int) -> None:
        """The first `done` units are written; now and then that is noted, after all of it has reached the disk."""
        self.done = done
        if time.monotonic() - self._noted >= NOTE_SECONDS:
            os.sync()
            write_whole(self.path / MARKER, json.dumps({"source": self._source, "done": done}).encode())
            self._noted = time.monotonic()

    def publish(self) -> None:
        """Rename the finished directory to its own name, in place of whatever stood there."""
        os.sync()
        (self.path / MARKER).unlink(missing_ok=True)
        shutil.rmtree(self.target, ignore_errors=True)
        self.path.rename(self.target)
