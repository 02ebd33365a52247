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
    Rows,
    choose_array,
    reading,
    require_matrix,
    require_no_name,
    rows_of,
)

MARKS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Whether a directory is itself an array or a group."""
    return any((path / mark).exists() for mark in MARKS)


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a damaged directory, or one without the array that is asked for."""
    with reading(path, "Zarr"):
        root: Any = zarr.open(path, mode="r")
        if isinstance(root, zarr.Array) or _encoding(root):
            require_no_name(path, options.array)
            found = root
        else:
            found = root[choose_array(path, _names(root), options.array)]
        encoding, place = _encoding(found), found.path
        if encoding:
            members = dict(found.arrays())
            samples, features = sparse_shape(path, dict(found.attrs), members)
            stored, chunk_rows = int(members["data"].shape[0]), 1
        else:
            samples, features = require_matrix(path, found.shape, found.dtype)
            stored, chunk_rows = None, int((found.shards or found.chunks)[0])

    @contextmanager
    def opened() -> Iterator[Read]:
        with reading(path, "Zarr"):
            root: Any = zarr.open(path, mode="r")
            array = root[place] if place else root
            members = dict(array.arrays()) if encoding else {}
            read = read_sparse_group(path, encoding, (samples, features), members) if encoding else rows_of(array)

        def read_rows(start: int, stop: int) -> Rows:
            with reading(path, "Zarr"):
                return read(start, stop)

        yield read_rows

    files = tuple(file for file in sorted(path.rglob("*")) if file.is_file())
    return Part(path, samples, features, stored, chunk_rows, opened, files)


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
