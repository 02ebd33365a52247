"""Products, correlations and overlaps of sparse blocks against dense NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.coactivation import binary, cosines, cross_products, moments, overlap, pearson

SAMPLES = 14
VALUES = st.one_of(st.just(0.0), st.sampled_from([0.5, 1.0]), st.floats(2**-6, 64, width=32))
WIDE = arrays(np.float32, st.tuples(st.just(SAMPLES), st.integers(1, 6)), elements=VALUES)


def blocks(dense, rows):
    return [sp.csr_array(dense[first : first + rows]) for first in range(0, len(dense), rows)]


@given(WIDE, WIDE, st.integers(1, SAMPLES), st.integers(1, 3))
def test_correlations_are_those_of_the_dense_matrices_whatever_the_blocks_and_threads(a, b, rows, jobs):
    source, target = moments(blocks(a, rows), a.shape[1]), moments(blocks(b, rows), b.shape[1])
    shape = (a.shape[1], b.shape[1])
    here = slice(0, max(shape[0] - 1, 1))
    products = cross_products(zip(blocks(a, rows), blocks(b, rows), strict=True), here, shape, jobs)
    correlation = pearson(products, source, target, here)
    assert np.allclose(products, a[:, here].astype(float).T @ b, rtol=1e-12)
    for i in range(here.stop):
        for j in range(shape[1]):
            x, y = a[:, i].astype(float), b[:, j].astype(float)
            expected = np.corrcoef(x, y)[0, 1] if x.std() > 0 and y.std() > 0 else 0
            assert correlation[i, j] == pytest.approx(expected, abs=1e-4)


@given(WIDE, st.integers(1, SAMPLES))
def test_moments_are_the_column_sums(dense, rows):
    found = moments(blocks(dense, rows), dense.shape[1])
    assert found.samples == SAMPLES
    assert np.array_equal(found.n, (dense > 0).sum(axis=0))
    assert np.allclose(found.sum, dense.sum(axis=0, dtype=float))
    assert np.allclose(found.sum_squares, (dense.astype(float) ** 2).sum(axis=0))
    assert np.array_equal(found.alive, dense.any(axis=0))


def test_threads_do_not_change_a_single_bit():
    generator = np.random.default_rng(0)
    dense = np.where(generator.random((200, 30)) < 0.2, generator.random((200, 30)), 0).astype(np.float32)
    shape, everything = (30, 30), slice(0, 30)
    one, three = (cross_products(((x, x) for x in blocks(dense, 9)), everything, shape, jobs) for jobs in (1, 3))
    assert np.array_equal(one, three)


def test_firing_together_is_counted_by_binary_blocks():
    dense = np.array([[2.0, 3.0], [5.0, 0.0], [0.5, 0.25]], dtype=np.float32)
    counts = cross_products(((binary(x), binary(x)) for x in blocks(dense, 2)), slice(0, 2), (2, 2))
    assert counts.tolist() == [[3, 2], [2, 2]]


def test_overlap_of_features_that_share_half_of_their_samples_and_of_strangers():
    found = overlap(np.array([2, 0]), np.array([4, 1]), np.array([4, 1]), 16)
    assert found.jaccard.tolist() == [2 / 6, 0]
    assert found.pmi.tolist() == [1.0, -np.inf]
    assert found.sufficiency.tolist() == [0.5, 0]
    assert found.necessity.tolist() == [0.5, 0]


def test_sufficiency_and_necessity_differ_for_a_rare_feature_inside_a_frequent_one():
    found = overlap(np.array([3]), np.array([3]), np.array([12]), 100)
    assert (found.sufficiency[0], found.necessity[0]) == (1.0, 0.25)


def test_a_constant_feature_correlates_with_nothing():
    dense = np.array([[0.1, 1.0], [0.1, 0.0], [0.1, 3.0]], dtype=np.float32)
    found = moments(blocks(dense, 3), 2)
    products = cross_products([(sp.csr_array(dense), sp.csr_array(dense))], slice(0, 2), (2, 2))
    assert pearson(products, found, found, slice(0, 2)).tolist() == [[0, 0], [0, 1]]


def test_a_zero_row_has_no_direction():
    assert cosines(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[4.0, 3.0]])).tolist() == [
        [0.0],
        [pytest.approx(0.96)],
    ]
