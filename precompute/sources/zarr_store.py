"""Zarr directories (versions 2 and 3): a dense array or an AnnData sparse group, read a range of rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr

from precompute.sources.matrices import ENCODINGS, read_sparse_group, sparse_shape
from precompute.sources.part import (
    Options,
    Part,
    Read,
    choose_array,
    require_matrix,
    require_no_name,
    unreadable,
)

MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Whether a directory is itself an array or a group."""
    return any((path / mark).exists() for mark in MARKS)


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a damaged directory, or one without the array that is asked for."""
    root = _open(path)
    if isinstance(root, zarr.Array) or _encoding(root):
        require_no_name(path, options.array)
        found = root
    else:
        found = root[choose_array(path, _names(root), options.array)]
    place = found.path
    encoding = _encoding(found)
    if encoding:
        members = dict(found.arrays())
        samples, features = sparse_shape(path, dict(found.attrs), members)
        stored, chunk_rows = int(members["data"].shape[0]), 1
    else:
        samples, features = require_matrix(path, found.shape, found.dtype)
        stored, chunk_rows = None, int((found.shards or found.chunks)[0])

    @contextmanager
    def opened() -> Iterator[Read]:
        root = _open(path)
        array = root[place] if place else root
        if encoding:
            yield read_sparse_group(path, encoding, (samples, features), dict(array.arrays()))
            return

        def read(start: int, stop: int) -> Any:
            try:
                return array[start:stop]
            except (ValueError, RuntimeError, OSError) as error:
                raise unreadable(path, f"rows {start} to {stop - 1} of a Zarr array", error) from error

        yield read

    files = tuple(file for file in sorted(path.rglob("*")) if file.is_file())
    return Part(path, samples, features, stored, chunk_rows, opened, files)


def _open(path: Path) -> Any:
    try:
        return zarr.open(path, mode="r")
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise unreadable(path, "Zarr", error) from error


def _names(root: Any) -> list[str]:
    """Paths of everything in the group that may be a matrix of activations."""
    return sorted(
        name
        for name, item in root.members(max_depth=None)
        if (isinstance(item, zarr.Array) and item.ndim == 2 and item.dtype.kind in "fiub") or _encoding(item)
    )


def _encoding(item: Any) -> str | None:
    encoding = item.attrs.get("encoding-type")
    return encoding if isinstance(item, zarr.Group) and encoding in ENCODINGS else None
