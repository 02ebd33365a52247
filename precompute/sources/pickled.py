"""joblib files, pickles and `.npy` files of Python objects: loading them runs code that is in them, so trust is asked for."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp

from loaders.errors import BadInput
from precompute.sources.matrices import checked_csr
from precompute.sources.part import Options, Part, Read, Rows, require_matrix, require_no_name, rows_of, unreadable


def require_trust(path: Path, options: Options) -> None:
    """Raise BadInput unless the person vouches for the file."""
    if not options.trust_pickle:
        raise BadInput(
            f"'{path}' is a pickle: loading it runs whatever code was put into it, as you, on this machine. Give"
            " --trust-pickle only if you know who made it, or save the array as .npy."
        )


def describe(path: Path, options: Options) -> Part:
    """A joblib or pickle file with one dense array or one SciPy sparse matrix; raises BadInput."""
    require_no_name(path, options.array)
    require_trust(path, options)
    return describe_object(path, lambda: _load(path))


def describe_object(path: Path, load: Callable[[], Any]) -> Part:
    """The part that `load` gives, once for its shape and again when its rows are read."""
    rows = _rows(path, load)
    samples, features = (int(size) for size in rows.shape)
    stored = None if isinstance(rows, np.ndarray) else int(rows.nnz)

    @contextmanager
    def opened() -> Iterator[Read]:
        yield rows_of(_rows(path, load))

    return Part(path, samples, features, stored, 1, opened, (path,))


def _load(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a compressed file cannot be memory-mapped, and is then read whole
        return joblib.load(path, mmap_mode="r")


def _rows(path: Path, load: Callable[[], Any]) -> Rows:
    try:
        value = load()
    except Exception as error:  # a pickle may raise anything
        raise unreadable(path, "a pickled array", error) from error
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.item() if value.ndim == 0 else _numbers(path, value)
    if sp.issparse(value):
        return checked_csr(path, value)
    if not isinstance(value, np.ndarray):
        kind = type(value).__name__
        raise BadInput(f"'{path}' holds a {kind}; wanted a NumPy array or a SciPy sparse matrix. Save only that.")
    require_matrix(path, value.shape, value.dtype)
    return np.asarray(value)


def _numbers(path: Path, value: np.ndarray) -> np.ndarray:
    try:
        return value.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise unreadable(path, "an array of numbers", error) from error
