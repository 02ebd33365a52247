"""Keep the activations above a threshold, exactly, and count what is left out."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from loaders.errors import BadInput
from precompute.sources.part import Rows


class Kept(NamedTuple):
    """`rows`: float32 activations above the threshold. Of the rest, `negative` were below 0, `small` above 0."""

    rows: sp.csr_array
    negative: int
    small: int


class _Place(NamedTuple):
    """Where values lie: their block, and the file whose row `first` is the block's first one."""

    rows: Rows
    name: str
    first: int

    def refuse(self, at: int, value: float, why: str) -> BadInput:
        """The sentence about value number `at` of the block."""
        if isinstance(self.rows, np.ndarray):
            row, feature = divmod(at, self.rows.shape[1])
        else:
            row = int(np.searchsorted(self.rows.indptr, at, side="right")) - 1
            feature = int(self.rows.indices[at])
        return BadInput(
            f"Row {self.first + row} of '{self.name}' has the value {float(value)} for feature {feature}: {why}"
        )


def keep(rows: Rows, threshold: float, name: str, first: int) -> Kept:
    """Values above `threshold`, which is compared before anything is rounded; `first` is the first row's number in `name`.

    Raises BadInput with file, row and feature for a value that is not finite, or that float32 cannot hold.
    """
    place = _Place(rows, name, first)
    values: npt.NDArray[Any] = rows.reshape(-1) if isinstance(rows, np.ndarray) else rows.data
    if values.dtype.kind in "iub":
        values = values.astype(np.float64)
    elif values.dtype.itemsize < 4:
        values = values.astype(np.float32)  # exact
    lowest, highest = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    if not np.isfinite([lowest, highest]).all():
        at = int(np.flatnonzero(~np.isfinite(values))[0])
        raise place.refuse(at, values[at], "activations must be finite. Find out where it comes from.")
    is_kept = values > _at_most(threshold, values.dtype)
    negative = int(np.count_nonzero(values < 0)) if lowest < 0 else 0
    small = int(np.count_nonzero(values > 0)) - int(np.count_nonzero(is_kept)) if threshold > 0 else 0
    places = np.flatnonzero(is_kept)
    data = _single(values[places], places, place)
    if isinstance(rows, np.ndarray):
        counts = np.count_nonzero(is_kept.reshape(rows.shape), axis=1)
        pointers = np.concatenate([[0], np.cumsum(counts)])
        columns = places - np.repeat(np.arange(len(counts)) * rows.shape[1], counts)
    else:
        pointers = np.concatenate([[0], np.cumsum(is_kept)])[rows.indptr]
        columns = rows.indices[places]
    return Kept(sp.csr_array((data, columns, pointers), shape=rows.shape), negative, small)


def _at_most(threshold: float, dtype: np.dtype) -> np.floating:
    """The largest value of `dtype` that is not above the threshold: a value is above one exactly if above the other."""
    with np.errstate(over="ignore"):
        nearest: np.floating = dtype.type(threshold)
    if float(nearest) > threshold:
        nearest = np.nextafter(nearest, dtype.type(-np.inf))
    return nearest


def _single(values: npt.NDArray[Any], places: npt.NDArray[np.int64], place: _Place) -> npt.NDArray[np.float32]:
    """The values as float32, none of them infinite or 0."""
    with np.errstate(over="ignore", under="ignore"):
        data = values.astype(np.float32)
    if data.dtype == values.dtype:
        return data
    for is_lost, why in (
        (np.isinf(data), "more than float32 holds. Divide the activations by a constant."),
        (data == 0, "less than float32 holds. Give a --threshold above it, or multiply the activations by a constant."),
    ):
        if is_lost.any():
            at = int(np.flatnonzero(is_lost)[0])
            raise place.refuse(int(places[at]), values[at], why)
    return data
