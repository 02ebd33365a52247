"""Follow a run's metrics.jsonl as it grows; hands on one series per metric, millions of rows in bounded time."""

import json
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

KEPT_FILES = 1_024
"""How many followed files are remembered; the least recently read one is forgotten first."""
READ_S = 1.0
"""Seconds for which a call goes on reading a long file; what is left is read by the next calls."""
CHUNK_BYTES = 4 * 2**20
MOST_METRICS = 200
"""Metrics of one file that are followed; further names are passed over."""


class Series(NamedTuple):
    """One metric of one run, by step ascending; all three arrays are [n]."""

    step: NDArray[np.int64]
    value: NDArray[np.float64]
    seconds: NDArray[np.float64]  # since the run began; NaN where the row does not say


class Curves(NamedTuple):
    """Every metric of one run as far as its file had been written and read."""

    series: dict[str, Series]
    step: int  # the newest step, -1 before the first row
    skipped: int  # complete lines that are not a JSON row with a step
    is_whole: bool = True  # False while an earlier part of a long file is still being read


class Rows(NamedTuple):
    """Parsed lines: step and seconds [n], and per metric the places [m] of the rows that have it and its values [m]."""

    step: NDArray[np.int64]
    seconds: NDArray[np.float64]
    metrics: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
    skipped: int = 0


class Column:
    """An array that grows at its end and may be cut; arrays handed out before stay what they were."""

    def __init__(self, dtype: type) -> None:
        self._memory: NDArray[Any] = np.empty(64, dtype)
        self.size = 0

    def view(self) -> NDArray[Any]:
        return self._memory[: self.size]

    def append(self, values: NDArray[Any]) -> None:
        wanted = self.size + len(values)
        if wanted > len(self._memory):
            grown = np.empty(max(wanted, 2 * len(self._memory)), self._memory.dtype)
            grown[: self.size] = self.view()
            self._memory = grown
        self._memory[self.size : wanted] = values
        self.size = wanted

    def cut(self, size: int) -> None:
        if size < self.size:
            self._memory, self.size = self._memory[:size].copy(), size


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
        self._offset, self._inode, self._skipped = 0, -1, 0
        self._step, self._seconds = Column(np.int64), Column(np.float64)
        self._metrics: dict[str, tuple[Column, Column]] = {}  # rows that have the metric, and its values
        self._curves = Curves({}, -1, 0)

    def read(self, until: float | None = None) -> Curves:
        """The curves up to the last complete line, or to where the clock (`time.monotonic`) passed `until`.

        One chunk of 4 MB is read in any case. There are no curves where there is no file (yet).
        """
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._follow(file, time.monotonic() + READ_S if until is None else until)
            except FileNotFoundError:
                self._forget()
            return self._curves

    def _follow(self, file: BinaryIO, until: float) -> None:
        status = os.fstat(file.fileno())
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._forget()
            self._inode = status.st_ino
        began = self._offset
        while lines := self._next_lines(file):
            self._offset += len(lines)
            self._add(parse(lines))
            if time.monotonic() > until:
                break
        if self._offset != began or not self._curves.is_whole:
            step = int(self._step.view()[-1]) if self._step.size else -1
            self._curves = Curves(self._series(), step, self._skipped, not self._next_lines(file))

    def _next_lines(self, file: BinaryIO) -> bytes:
        """Complete lines from the offset on, about CHUNK_BYTES of them; a longer line comes whole."""
        file.seek(self._offset)
        text = file.read(CHUNK_BYTES)
        while b"\n" not in text and (more := file.read(CHUNK_BYTES)):
            text += more
        return text[: text.rfind(b"\n") + 1]

    def _add(self, rows: Rows) -> None:
        self._skipped += rows.skipped
        returns = np.flatnonzero(np.diff(rows.step) < 0) + 1  # where a run went back to a checkpoint
        for start, end in zip([0, *returns], [*returns, len(rows.step)], strict=True):
            if end == start:
                continue
            if self._step.size and rows.step[start] < self._step.view()[-1]:
                self._return_to(int(rows.step[start]))
            first = self._step.size
            self._step.append(rows.step[start:end])
            self._seconds.append(rows.seconds[start:end])
            for name, (places, values) in rows.metrics.items():
                if name not in self._metrics and len(self._metrics) >= MOST_METRICS:
                    continue
                low, high = np.searchsorted(places, (start, end))
                if high > low:
                    row, value = self._metrics.setdefault(name, (Column(np.int32), Column(np.float64)))
                    row.append(places[low:high] - start + first)
                    value.append(values[low:high])

    def _return_to(self, step: int) -> None:
        kept = int(np.searchsorted(self._step.view(), step))
        self._step.cut(kept)
        self._seconds.cut(kept)
        for row, value in self._metrics.values():
            size = int(np.searchsorted(row.view(), kept))
            row.cut(size)
            value.cut(size)

    def _series(self) -> dict[str, Series]:
        found = {}
        for name, (row, value) in self._metrics.items():
            if row.size:
                at = slice(None) if row.size == self._step.size else row.view()  # of a full metric nothing is copied
                found[name] = _last_of_each_step(Series(self._step.view()[at], value.view(), self._seconds.view()[at]))
        return found


def _last_of_each_step(series: Series) -> Series:
    is_repeated = series.step[1:] == series.step[:-1]
    if not is_repeated.any():
        return series
    kept = np.append(~is_repeated, True)
    return Series(*(column[kept] for column in series))


def parse(lines: bytes) -> Rows:
    """Complete lines as columns: by Arrow where they are plain rows, one by one where something is wrong with them."""
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(lines), read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        )
    except pa.ArrowInvalid:
        return _parse_each(lines)
    names = table.column_names
    if len(table) != lines.count(b"\n") or len(names) > MOST_METRICS or "step" not in names:
        return _parse_each(lines)
    columns = {name: table[name].combine_chunks() for name in names}
    step = columns.pop("step")
    if step.null_count or not pa.types.is_integer(step.type):
        return _parse_each(lines)
    seconds = columns.pop("seconds", pa.nulls(len(step)))
    if not _is_number(seconds.type) and not pa.types.is_null(seconds.type):
        return _parse_each(lines)
    metrics = {}
    for name, column in columns.items():
        if _is_number(column.type):
            is_there = column.is_valid().to_numpy(zero_copy_only=False)
            metrics[name] = (np.flatnonzero(is_there), _floats(column)[is_there])
    return Rows(step.to_numpy(zero_copy_only=False), _floats(seconds), metrics)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Numbers as float64, nothing as NaN."""
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _parse_each(lines: bytes) -> Rows:
    step, seconds, skipped = [], [], 0
    metrics: dict[str, tuple[list[int], list[float]]] = {}
    for line in lines.split(b"\n"):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            step.append(_step(row["step"]))
        except (ValueError, KeyError, TypeError, RecursionError):  # a crash left half a line; the resumed run wrote on
            skipped += 1
            continue
        seconds.append(_number(row.get("seconds"), math.nan))
        for name, value in row.items():
            number = _number(value, None)
            if name in ("step", "seconds") or number is None:
                continue
            if name in metrics or len(metrics) < MOST_METRICS:
                places, values = metrics.setdefault(name, ([], []))
                places.append(len(step) - 1)
                values.append(number)
    columns = {name: (np.array(places), np.array(values)) for name, (places, values) in metrics.items()}
    return Rows(np.array(step, np.int64), np.array(seconds, np.float64), columns, skipped)


def _step(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**62 or value % 1:
        raise ValueError(f"'{value}' is no step")
    return int(value)


def _number(value: Any, otherwise: Any) -> Any:
    """The value as a float where it is a number, else what is given instead."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    try:
        return float(value)
    except OverflowError:  # an integer beyond every float
        return math.inf if value > 0 else -math.inf


_followed: OrderedDict[Path, MetricsFile] = OrderedDict()
_followed_lock = threading.Lock()


def read_curves(path: Path, until: float | None = None) -> Curves:
    """The curves of one metrics.jsonl, following on from where this process last read it; see `MetricsFile.read`."""
    with _followed_lock:
        file = _followed.setdefault(path, MetricsFile(path))
        _followed.move_to_end(path)
        while len(_followed) > KEPT_FILES:
            _followed.popitem(last=False)
    return file.read(until)


def read_all(paths: Iterable[Path]) -> list[Curves]:
    """The curves of many runs, all of them within about READ_S however long their files are."""
    until = time.monotonic() + READ_S
    return [read_curves(path, until) for path in paths]
