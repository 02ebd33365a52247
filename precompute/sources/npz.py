"""`.npz` archives: SciPy's sparse matrices, read whole, and NumPy's named arrays, read from the archive as they go by."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import scipy.sparse as sp

from loaders.errors import BadInput
from precompute.sources.matrices import checked_csr
from precompute.sources.npy import Header, read_header
from precompute.sources.part import (
    Options,
    Part,
    Read,
    choose_array,
    reading,
    require_matrix,
    require_no_name,
    rows_of,
)


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a damaged archive, or one without the array that is asked for."""
    with reading(path, "an .npz archive"), zipfile.ZipFile(path) as archive:
        headers = {name: _header(archive, name, path) for name in archive.namelist() if name.endswith(".npy")}
    if "format.npy" in headers:
        require_no_name(path, options.array)
        return _describe_sparse(path)
    return _describe_dense(path, {name.removesuffix(".npy"): header for name, header in headers.items()}, options)


def _header(archive: zipfile.ZipFile, name: str, path: Path) -> Header:
    with archive.open(name) as member:
        return read_header(cast(BinaryIO, member), path)


def _describe_sparse(path: Path) -> Part:
    rows = _load(path)

    @contextmanager
    def opened() -> Iterator[Read]:
        yield rows_of(_load(path))

    samples, features = rows.shape
    return Part(path, int(samples), int(features), int(rows.nnz), 1, opened, (path,))


def _load(path: Path) -> sp.csr_array:
    with reading(path, "a SciPy sparse matrix"):
        matrix = sp.load_npz(path)
    return checked_csr(path, matrix)


def _describe_dense(path: Path, headers: dict[str, Header], options: Options) -> Part:
    found = [name for name, header in headers.items() if len(header.shape) == 2 and header.dtype.kind in "fiub"]
    name = choose_array(path, sorted(found), options.array)
    header = headers[name]
    samples, features = require_matrix(path, header.shape, header.dtype)
    if header.is_fortran and min(header.shape) > 1:
        raise BadInput(
            f"'{path}' stores '{name}' column by column, so rows cannot be read one after the other. Save it as .npy."
        )
    row_bytes = features * header.dtype.itemsize

    @contextmanager
    def opened() -> Iterator[Read]:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            read_header(cast(BinaryIO, member), path)
            begin = member.tell()

            def read(start: int, stop: int) -> np.ndarray:
                with reading(path, f"the array '{name}'"):
                    member.seek(begin + start * row_bytes)
                    data = member.read((stop - start) * row_bytes)
                    return np.frombuffer(data, header.dtype).reshape(stop - start, features)

            yield read

    return Part(path, samples, features, None, 1, opened, (path,))
