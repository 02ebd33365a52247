"""HDF5 files, `.h5ad` included: a dense dataset or an AnnData sparse group, read a range of rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from precompute.sources.matrices import ENCODINGS, read_sparse_group, sparse_shape
from precompute.sources.part import Options, Part, Read, Rows, choose_array, reading, require_matrix, rows_of


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a damaged file, or one without the array that is asked for."""
    with _open(path) as file, reading(path, "HDF5"):
        name = choose_array(path, _names(file), options.array)
        found = file[name]
        encoding = _encoding(found)
        if encoding:
            samples, features = sparse_shape(path, dict(found.attrs), found)
            stored, chunk_rows = len(found["data"]), 1
        else:
            samples, features = require_matrix(path, found.shape, found.dtype)
            stored, chunk_rows = None, found.chunks[0] if found.chunks else 1

    @contextmanager
    def opened() -> Iterator[Read]:
        with _open(path) as file:
            array = file[name]
            with reading(path, "HDF5"):
                read = read_sparse_group(path, encoding, (samples, features), array) if encoding else rows_of(array)

            def read_rows(start: int, stop: int) -> Rows:
                with reading(path, "HDF5"):
                    return read(start, stop)

            yield read_rows

    return Part(path, samples, features, stored, chunk_rows, opened, (path,))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    with reading(path, "HDF5"):
        file = h5py.File(path, "r")
    with file:
        yield file


def _names(file: Any) -> list[str]:
    """Paths of everything in the file that may be a matrix of activations."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        dtype = getattr(item, "dtype", None)
        is_dense = isinstance(dtype, np.dtype) and dtype.kind in "fiub" and len(item.shape or ()) == 2
        if is_dense or _encoding(item):
            found.append(name)

    file.visititems(visit)
    return sorted(found)


def _encoding(item: Any) -> str | None:
    encoding = item.attrs.get("encoding-type")
    return encoding if isinstance(encoding, str) and encoding in ENCODINGS and not hasattr(item, "dtype") else None
