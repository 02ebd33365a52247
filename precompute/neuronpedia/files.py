"""The bundle's files: JSON lines, gzipped or not, written under a temporary name and read one line at a time."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from loaders.errors import BadInput
from precompute.neuronpedia.fields import BATCH

LONGEST_LINE = 1 << 26
MOST_ROWS = 5_000_000  # of one file: a batch has 1,024 features, so that more is no bundle
SIDECAR = "loupe.json"
UNFINISHED = "loupe.unfinished.json"
KINDS = ("features", "activations", "explanations")
CARDS = ("release", "model", "sourceset", "source")


class BadLine(Exception):
    """A line that is no row; `line` counts from 1, 0 stands for the whole file."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


class Row(NamedTuple):
    """One row and where it stands: `file` relative to the bundle, `line` from 1."""

    file: str
    line: int
    fields: dict[str, Any]


@contextmanager
def write_lines(path: Path) -> Iterator[TextIO]:
    """A text file, gzipped where its name says so, that gets its name when it is complete and flushed to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", 5, raw, mtime=0) as packed:
                yield _Lines(packed)  # type: ignore[misc]
        else:
            yield _Lines(raw)  # type: ignore[misc]
        raw.flush()
        os.fsync(raw.fileno())
    temporary.replace(path)


class _Lines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return int(self._file.write(text.encode()))


def dump(file: TextIO, row: dict[str, Any]) -> None:
    """Write one row; numbers that JSON does not have raise ValueError."""
    file.write(json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n")


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a whole file of rows."""
    with write_lines(path) as file:
        for row in rows:
            dump(file, row)


class Bundle:
    """One source's folder: `cards` are the rows of release, model, sourceset and source, {} for a file that is not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cards = {name: self._card(name) for name in CARDS}
        self.sidecar = self._sidecar()

    @classmethod
    def open(cls, path: Path) -> "Bundle":
        """Open a source's folder, or the one source below an exports folder; raises BadInput."""
        if not path.is_dir():
            raise BadInput(f"There is no bundle at '{path}': wanted a folder with source.jsonl and features/.")
        if (path / "source.jsonl").exists() or (path / "features").is_dir():
            return cls(path)
        found = sorted(
            {each.parent for pattern in ("*/source.jsonl", "*/*/source.jsonl") for each in path.glob(pattern)}
        )
        if len(found) != 1:
            names = ", ".join(str(each.relative_to(path)) for each in found[:8]) or "none"
            raise BadInput(f"'{path}' holds {len(found)} sources ({names}). Name the folder of one of them.")
        return cls(found[0])

    @property
    def model_id(self) -> str | None:
        return _text(self.cards["source"].get("modelId")) or _text(self.cards["model"].get("id"))

    @property
    def source(self) -> str | None:
        return _text(self.cards["source"].get("id"))

    @property
    def plan(self) -> dict[str, Any]:
        """What Loupe noted of its own export; {} for a bundle that another tool wrote."""
        plan = self.sidecar.get("plan")
        return plan if isinstance(plan, dict) else {}

    def batches(self, kind: str) -> list[str]:
        """Batch files of a kind, relative to the bundle, in the order of their numbers; others are not looked at."""
        folder = self.directory / kind
        found = [path for path in folder.iterdir() if BATCH.fullmatch(path.name)] if folder.is_dir() else []
        ordered = sorted(found, key=lambda path: (int(BATCH.fullmatch(path.name)[1]), path.name))  # type: ignore[index]
        return [f"{kind}/{path.name}" for path in ordered]

    def rows(self, file: str) -> Iterator[Row]:
        """Rows of one file, a line at a time; raises BadLine where one cannot be read."""
        path = self.directory / file
        if not path.resolve().is_relative_to(self.directory.resolve()):
            raise BadLine(0, "leads out of the bundle")
        number = 0
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as lines:
                while line := lines.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE or number > MOST_ROWS:
                        raise BadLine(number, f"is longer than {LONGEST_LINE:,} bytes or {MOST_ROWS:,} rows")
                    if line.strip():
                        yield Row(file, number, _parse(line, number))
        except (OSError, EOFError, zlib.error) as error:
            raise BadLine(number, f"cannot be read ({' '.join(str(error).split())})") from error

    def all_rows(self, kind: str) -> Iterator[Row]:
        """Rows of all batches of a kind; raises BadInput where one cannot be read."""
        for file in self.batches(kind):
            try:
                yield from self.rows(file)
            except BadLine as error:
                raise BadInput(
                    f"Line {error.line} of '{file}' {error.problem}. Run `loupe neuronpedia verify` on the bundle."
                ) from error

    def _card(self, name: str) -> dict[str, Any]:
        if not (self.directory / f"{name}.jsonl").is_file():
            return {}
        try:
            return next((row.fields for row in self.rows(f"{name}.jsonl")), {})
        except BadLine:
            return {}

    def _sidecar(self) -> dict[str, Any]:
        path = self.directory / SIDECAR
        if not path.is_file() or path.stat().st_size > LONGEST_LINE:
            return {}
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadLine(number, f"is not valid JSON ({str(error)[:120]})") from error
    if not isinstance(found, dict):
        raise BadLine(number, "is not a JSON object")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
