"""Sums of activations by category, for many features at once."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.distributions import owners


class CategorySums(NamedTuple):
    """Per feature and category [features, categories]: firing samples, sum and sum of squares of their activations."""

    n: npt.NDArray[np.int64]
    sum: npt.NDArray[np.float64]
    sum_squares: npt.NDArray[np.float64]


def sum_by_category(
    indptr: npt.NDArray[np.int64], codes: npt.NDArray[np.integer], data: npt.NDArray[np.float32], categories: int
) -> CategorySums:
    """Sums by category; `codes` [nnz] is the category of each non-zero, `data` [nnz] its activation (`indptr`: CSC)."""
    features = len(indptr) - 1
    cell, size, values = owners(indptr) * categories + codes, features * categories, data.astype(np.float64)
    shape = (features, categories)
    return CategorySums(
        np.bincount(cell, minlength=size).reshape(shape),
        np.bincount(cell, values, size).astype(np.float64).reshape(shape),
        np.bincount(cell, values**2, size).astype(np.float64).reshape(shape),
    )
