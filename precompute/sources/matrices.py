"""Sparse matrices in memory and AnnData's sparse groups on disk, checked before anything walks along their pointers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from loaders.errors import BadInput
from precompute.sources.part import Read, require_matrix

ENCODINGS = ("csr_matrix", "csc_matrix")
MEMBERS = ("data", "indices", "indptr")


def checked_csr(path: Path, matrix: Any) -> sp.csr_array:
    """Any SciPy sparse matrix as canonical CSR: indices in range and sorted, duplicates summed.

    Raises BadInput for indices or pointers that lead out of the matrix.
    """
    require_matrix(path, matrix.shape, matrix.dtype)
    try:
        if matrix.format in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)
        else:  # the other formats' indices are checked when they become coordinates
            matrix = sp.coo_array(matrix)
        rows = sp.csr_array(matrix.tocsr())
        rows.sum_duplicates()
    except (ValueError, IndexError) as error:
        raise _inconsistent(path, str(error)) from error
    return rows


def sparse_shape(path: Path, attributes: Mapping[str, Any], members: Mapping[str, Any]) -> tuple[int, int]:
    """Shape [samples, features] of an AnnData group; raises BadInput where its parts are not there."""
    missing = [name for name in MEMBERS if name not in members]
    if missing or "shape" not in attributes:
        raise _inconsistent(path, f"no {', '.join(missing) or 'shape'}")
    return require_matrix(path, attributes["shape"], np.dtype(members["data"].dtype))


def read_sparse_group(path: Path, encoding: str, shape: tuple[int, int], members: Mapping[str, Any]) -> Read:
    """Rows of an AnnData group: CSR a range at a time, CSC (stored feature by feature) whole."""
    indptr = np.asarray(members["indptr"][:]).astype(np.int64)
    axis = ENCODINGS.index(encoding)
    stored = int(members["data"].shape[0])
    is_sound = len(indptr) == shape[axis] + 1 and not (np.diff(indptr) < 0).any() and indptr[0] == 0
    if not is_sound or not indptr[-1] == stored == members["indices"].shape[0]:
        raise _inconsistent(path, "its pointers do not fit its values")
    if encoding == "csc_matrix":
        whole = sp.csc_array((_native(members["data"][:]), members["indices"][:], indptr), shape=shape)
        rows = checked_csr(path, whole)
        return lambda start, stop: rows[start:stop]

    def read(start: int, stop: int) -> sp.csr_array:
        first, last = int(indptr[start]), int(indptr[stop])
        data = _native(members["data"][first:last])
        parts = (data, members["indices"][first:last], indptr[start : stop + 1] - first)
        return checked_csr(path, sp.csr_array(parts, shape=(stop - start, shape[1])))

    return read


def _native(values: Any) -> np.ndarray:
    """In this machine's byte order, float16 as float32: SciPy's sparse matrices know neither."""
    array = np.asarray(values)
    return array.astype(np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("="), copy=False)


def _inconsistent(path: Path, why: str) -> BadInput:
    return BadInput(f"'{path}' is not a consistent sparse matrix ({why}). Write it again with the tool that made it.")
