"""How features fire together over all samples, zeros included: exact products of sparse blocks and measures on them."""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Floats = npt.NDArray[np.float64]


class Moments(NamedTuple):
    """Per feature [features] over `samples` samples: firing samples, sum and sum of squares of the activations."""

    samples: int
    n: npt.NDArray[np.int64]
    sum: Floats
    sum_squares: Floats

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """Features that fire at least once."""
        return self.n > 0


def moments(blocks: Iterable[sp.csr_array], features: int) -> Moments:
    """Add up row blocks (samples x features) of one activation matrix."""
    samples, n = 0, np.zeros(features, np.int64)
    total, squares = np.zeros(features), np.zeros(features)
    for block in blocks:
        samples += block.shape[0]
        n += np.bincount(block.indices, minlength=features)
        total += np.bincount(block.indices, block.data, features)
        squares += np.bincount(block.indices, block.data.astype(np.float64) ** 2, features)
    return Moments(samples, n, total, squares)


def binary(block: sp.csr_array) -> sp.csr_array:
    """The same block with 1 where a feature fires."""
    return sp.csr_array((np.ones(block.nnz), block.indices, block.indptr), shape=block.shape)


def cross_products(
    pairs: Iterable[tuple[sp.csr_array, sp.csr_array]], rows: slice, shape: tuple[int, int], jobs: int = 1
) -> Floats:
    """Rows `rows` of A^T B, float64 [rows, features of B], where A and B come as aligned row blocks over the same samples.

    `shape` is that of A^T B. Blocks are multiplied by `jobs` threads and added in order, so the result does not depend on `jobs`.
    """
    first, last, _ = rows.indices(shape[0])
    total = np.zeros((last - first, shape[1]))
    waiting: deque[Future[sp.csr_array]] = deque()
    with ThreadPoolExecutor(jobs) as pool:  # SciPy releases the interpreter lock while it multiplies
        for a, b in pairs:
            waiting.append(pool.submit(_product, a, b, slice(first, last)))
            if len(waiting) > jobs:
                total += waiting.popleft().result()
        while waiting:
            total += waiting.popleft().result()
    return total


def _product(a: sp.csr_array, b: sp.csr_array, rows: slice) -> sp.csr_array:
    """Samples are the short axis of both factors, so each row of the product stays in the processor's cache."""
    left = a.astype(np.float64).T.tocsr()
    if (rows.start, rows.stop) != (0, left.shape[0]):
        left = left[rows]
    return left @ b.astype(np.float64)


def pearson(products: Floats, source: Moments, target: Moments, rows: slice) -> npt.NDArray[np.float32]:
    """Pearson correlation [rows, target features] from X^T Y; 0 where either feature never varies.

    r = (S xy - sum_x sum_y) / sqrt((S xx - sum_x^2)(S yy - sum_y^2)), with S samples.
    """
    samples = float(source.samples)
    covariance = samples * products
    covariance -= np.multiply.outer(source.sum[rows], target.sum)
    spread = np.multiply.outer(_spread(source)[rows], _spread(target))
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance /= spread
    covariance[spread == 0] = 0
    return np.clip(covariance, -1, 1).astype(np.float32)


def _spread(of: Moments) -> Floats:
    """samples * standard deviation per feature; exactly 0 for a variance within rounding error of 0."""
    squares = of.samples * of.sum_squares
    variance = squares - of.sum**2
    return np.sqrt(np.where(variance > 1e-12 * squares, variance, 0))


def cosines(source: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Cosine of each row of `source` [a, width] with each row of `target` [b, width]: float32 [a, b]; 0 for a zero row."""
    return unit_rows(source) @ unit_rows(target).T


def unit_rows(matrix: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Rows scaled to length 1; zero rows stay zero."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return (matrix / np.where(length > 0, length, 1)).astype(np.float32)


class Overlap(NamedTuple):
    """Measures of pairs of features [pairs] from how often they fire together (arXiv 2410.08869 for the last two)."""

    jaccard: Floats  # both / either
    pmi: Floats  # log2(P(a, b) / (P(a) P(b))), -inf where they never fire together
    sufficiency: Floats  # P(b | a)
    necessity: Floats  # P(a | b)


def overlap(
    both: npt.NDArray[np.int64], n_a: npt.NDArray[np.int64], n_b: npt.NDArray[np.int64], samples: int
) -> Overlap:
    """Measures of pairs (a, b) that fire on `n_a` and `n_b` (> 0) of `samples` samples and on `both` together."""
    with np.errstate(divide="ignore"):
        pmi = np.log2(both * float(samples) / (n_a * n_b.astype(np.float64)))
    return Overlap(both / (n_a + n_b - both), pmi, both / n_a, both / n_b)
