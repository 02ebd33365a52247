"""Read a run's metrics.jsonl as it grows, and smooth and thin its curves without losing a spike."""

import json
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

KEPT_FILES = 256
"""How many followed files are remembered; the least recently read one is forgotten first."""


class Series(NamedTuple):
    """One metric of one run, by step ascending; all three arrays are [n]."""

    step: NDArray[np.int64]
    value: NDArray[np.float64]
    seconds: NDArray[np.float64]  # since the run began; NaN where the row does not say


class Curves(NamedTuple):
    """Every metric of one run as far as its file had been written."""

    series: dict[str, Series]
    step: int  # the newest step, -1 before the first row
    skipped: int  # complete lines that are not a JSON row with a step


class MetricsFile:
    """Follows one metrics.jsonl: each `read` parses only the lines that were completed since the last one.

    A line counts once its line break is there, so one that is being written is simply not read yet. A run that
    resumes from a checkpoint goes back to an earlier step; what stood from that step on is replaced. A file that
    shrank or was replaced is read again from its start.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._offset, self._inode, self._skipped, self._step = 0, -1, 0, -1
        self._points: dict[str, list[tuple[int, float, float]]] = {}
        self._curves = Curves({}, -1, 0)

    def read(self) -> Curves:
        """The curves up to the last complete line; none where there is no file (yet)."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._follow(file)
            except FileNotFoundError:
                self._forget()
            return self._curves

    def _follow(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._forget()
            self._inode = status.st_ino
        file.seek(self._offset)
        text = file.read()
        complete = text[: text.rfind(b"\n") + 1]
        if not complete:
            return
        self._offset += len(complete)
        for line in complete.splitlines():
            self._add(line)
        series = {name: _columns(points) for name, points in self._points.items() if points}
        self._curves = Curves(series, self._step, self._skipped)

    def _add(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            row: dict[str, Any] = json.loads(line)
            step = int(row["step"])
        except (ValueError, KeyError, TypeError):  # a crash left half a line, and the resumed run wrote on after it
            self._skipped += 1
            return
        if step < self._step:
            for points in self._points.values():
                _drop_from(points, step)
        self._step = step
        seconds = float(row.get("seconds") or "nan")
        for name, value in row.items():
            if name in ("step", "seconds") or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            points = self._points.setdefault(name, [])
            _drop_from(points, step)
            points.append((step, float(value), seconds))


def _drop_from(points: list[tuple[int, float, float]], step: int) -> None:
    while points and points[-1][0] >= step:
        points.pop()


def _columns(points: list[tuple[int, float, float]]) -> Series:
    step, value, seconds = (np.array(column) for column in zip(*points, strict=True))
    return Series(step.astype(np.int64), value.astype(np.float64), seconds.astype(np.float64))


_followed: OrderedDict[Path, MetricsFile] = OrderedDict()
_followed_lock = threading.Lock()


def read_curves(path: Path) -> Curves:
    """The curves of one metrics.jsonl, following on from where this process last read it."""
    with _followed_lock:
        file = _followed.setdefault(path, MetricsFile(path))
        _followed.move_to_end(path)
        while len(_followed) > KEPT_FILES:
            _followed.popitem(last=False)
    return file.read()


def smooth(value: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average of `value` [n], unbiased at its start; NaN and infinity are passed over.

    s_t = (w s_{t-1} + (1 - w) x_t), divided by 1 - w^(t+1) (Adam's bias correction, Kingma & Ba 2015, section 3).
    `weight` 0 returns the values themselves; it must be below 1.
    """
    finite = np.isfinite(value)
    smoothed = np.full(value.shape, np.nan)
    known = value[finite]
    if known.size:
        average = lfilter([1.0 - weight], [1.0, -weight], known)
        smoothed[finite] = average / (1.0 - weight ** np.arange(1, known.size + 1))
    return smoothed


def thin(value: NDArray[np.float64], buckets: int = 300) -> NDArray[np.int64]:
    """Indices (ascending, at most 2 * buckets + 2) at which to draw `value` [n] so that no spike is lost.

    The run is cut into `buckets` stretches of equal length; each keeps its smallest and its largest finite value. The
    first and the last point are always kept, and a series that is short enough is kept whole.
    """
    n = value.size
    if n <= 2 * buckets:
        return np.arange(n)
    low = np.where(np.isfinite(value), value, np.inf)
    high = np.where(np.isfinite(value), value, -np.inf)
    edges = np.linspace(0, n, buckets + 1).astype(int)
    kept = {0, n - 1}
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        kept.add(start + int(low[start:end].argmin()))
        kept.add(start + int(high[start:end].argmax()))
    return np.array(sorted(kept))
