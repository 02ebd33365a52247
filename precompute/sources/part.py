"""One file of activations, whatever its kind: its shape, how its rows are read, and what it is recognised by later."""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from loaders.errors import BadInput

Rows: TypeAlias = npt.NDArray[Any] | sp.csr_array
Read: TypeAlias = Callable[[int, int], Rows]
"""Reads rows start..stop: an array [rows, features] of any real dtype, or a canonical sparse block of that shape."""


class Options(NamedTuple):
    """What a person may say about a file: which array in it, and whether code in it may run."""

    array: str | None = None
    trust_pickle: bool = False


class Part(NamedTuple):
    """Consecutive samples of one file (or of one directory that is one array)."""

    path: Path
    samples: int
    features: int
    stored: int | None  # values that a sparse format stores; None for a dense one
    chunk_rows: int  # rows that are decompressed together; 1 where any row is read by itself
    open: Callable[[], AbstractContextManager[Read]]
    files: tuple[Path, ...]  # what `stamp` looks at

    @property
    def stamp(self) -> dict[str, Any]:
        """Name, size in bytes and time of the last change in nanoseconds."""
        found = [file.stat() for file in self.files]
        return {
            "name": self.path.name,
            "bytes": sum(status.st_size for status in found),
            "mtime_ns": max(status.st_mtime_ns for status in found),
        }


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key of a path that counts as people do: `part_2` before `part_10`."""
    return [(0, int(run), "") if run.isdigit() else (1, 0, run) for run in re.findall(r"[0-9]+|[^0-9]+", str(path))]


def require_matrix(path: Path, shape: Iterable[int], dtype: np.dtype) -> tuple[int, int]:
    """The shape [samples, features] of an array; raises BadInput for one that cannot hold activations."""
    sizes = tuple(int(size) for size in shape)
    if len(sizes) != 2:
        raise BadInput(
            f"'{path}' holds an array of shape {sizes}; wanted two axes, [samples, features]. Reshape it before converting."
        )
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise BadInput(f"'{path}' holds values of type {dtype}; wanted real numbers of at most 64 bits. Convert them.")
    return sizes[0], sizes[1]


def choose_array(path: Path, found: list[str], wanted: str | None) -> str:
    """The name of the array to read among those `found`; raises BadInput where that is not one of them, or unclear."""
    there = ", ".join(found)
    if not found:
        raise BadInput(f"'{path}' holds no matrix of numbers [samples, features]. Check the file.")
    if wanted is not None and wanted not in found:
        raise BadInput(f"'{path}' holds no array '{wanted}'; it holds: {there}. Name one of them with --array.")
    if wanted is None and len(found) > 1:
        raise BadInput(f"'{path}' holds several arrays: {there}. Name one of them with --array.")
    return wanted if wanted is not None else found[0]


def require_no_name(path: Path, wanted: str | None) -> None:
    """Raise BadInput when an array is named in a kind of file that holds a single one without a name."""
    if wanted is not None:
        raise BadInput(f"'{path}' holds one array without a name, but '{wanted}' was asked for. Leave --array out.")


def rows_of(array: Any) -> Read:
    """Rows of anything that is sliced as an array is."""
    return lambda start, stop: array[start:stop]


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what a library says about a damaged file into BadInput that names it."""
    try:
        yield
    except (
        ValueError,
        RuntimeError,
        KeyError,
        IndexError,
        TypeError,
        EOFError,
        OSError,
        BadZipFile,
        zlib.error,
    ) as error:
        raise unreadable(path, kind, error) from error


def unreadable(path: Path, kind: str, error: Exception) -> BadInput:
    """The sentence for a file that is not what its name says."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return BadInput(f"'{path}' cannot be read as {kind} ({reason}). Check the file, or copy it again.")
