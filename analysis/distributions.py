"""Exact statistics and histograms of the non-zero activations of many features at once."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

QUARTILES = (0.25, 0.5, 0.75)


class Statistics(NamedTuple):
    """Per feature [features], over firing samples; all 0 where the feature never fires."""

    n: npt.NDArray[np.int64]
    sum: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    min: npt.NDArray[np.float32]
    max: npt.NDArray[np.float32]
    quartiles: npt.NDArray[np.float32]  # (3, features)


def owners(indptr: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Feature that each non-zero belongs to, int64 [nnz], for CSC pointers `indptr` [features + 1] that start at 0."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def describe(indptr: npt.NDArray[np.int64], data: npt.NDArray[np.float32]) -> Statistics:
    """Statistics of features whose positive activations are `data` [nnz], feature after feature as `indptr` says.

    Sums are in float64; `std` is the population standard deviation (two passes); quartiles interpolate linearly
    between order statistics (Hyndman & Fan 1996, type 7, NumPy's 'linear').
    """
    features = len(indptr) - 1
    n = np.diff(indptr).astype(np.int64)
    owner = owners(indptr)
    total = np.bincount(owner, data, features).astype(np.float64)
    mean = total / np.maximum(n, 1)
    variance = np.bincount(owner, (data - mean[owner]) ** 2, features) / np.maximum(n, 1)
    ordered = sort_within(owner, data)
    fires = n > 0

    def at(position: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        found = np.zeros(features, dtype=np.float32)
        found[fires] = ordered[(indptr[:-1] + position)[fires]]
        return found

    quartiles = np.zeros((len(QUARTILES), features), dtype=np.float32)
    for row, q in enumerate(QUARTILES):
        rank = np.maximum(n - 1, 0) * q
        below = np.floor(rank).astype(np.int64)
        low, high = at(below).astype(np.float64), at(np.minimum(below + 1, np.maximum(n - 1, 0))).astype(np.float64)
        quartiles[row] = low + (high - low) * (rank - below)
    return Statistics(n, total, mean, np.sqrt(variance), at(np.zeros_like(n)), at(n - 1), quartiles)


def sort_within(owner: npt.NDArray[np.int64], data: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sort positive `data` ascending within each owner (owners ascending), by one sort of packed integers.

    The bits of positive floats sort like the floats, so owner and value fit one uint64.
    """
    keys = owner.astype(np.uint64) << np.uint64(32)
    keys |= data.view(np.uint32)
    keys.sort()
    return keys.astype(np.uint32).view(np.float32)


def histograms(
    indptr: npt.NDArray[np.int64], data: npt.NDArray[np.float32], maxima: npt.NDArray[np.float32], bins: int
) -> npt.NDArray[np.int32]:
    """Counts int32 [features, bins] of positive activations in equal bins over [0, maximum of the feature].

    Bins are half open, the last one closed, and decided by their edges as in `numpy.histogram` in float64.
    """
    features = len(indptr) - 1
    owner = owners(indptr)
    values = data.astype(np.float64)
    width = maxima.astype(np.float64)[owner] / bins
    place = np.minimum((values / np.where(width > 0, width, 1)).astype(np.int64), bins - 1)
    place -= values < place * width
    place += (values >= (place + 1) * width) & (place < bins - 1)
    counts = np.bincount(owner * bins + place, minlength=features * bins)
    return counts.reshape(features, bins).astype(np.int32)
