"""Sums by category against masks over the dense matrix."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analysis.breakdowns import sum_by_category

DENSE = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0.0, 0.0, 0.5, 1.25])
)


@given(DENSE, st.integers(0, 2**32 - 1))
def test_every_feature_is_summed_in_every_category(dense, seed):
    codes = np.random.default_rng(seed).integers(0, 3, len(dense))
    columns = sp.csc_array(dense)
    found = sum_by_category(columns.indptr.astype(np.int64), codes[columns.indices], columns.data, 3)
    for category in range(3):
        inside = dense[codes == category]
        assert np.array_equal(found.n[:, category], (inside > 0).sum(axis=0))
        assert np.allclose(found.sum[:, category], inside.sum(axis=0))
        assert np.allclose(found.sum_squares[:, category], (inside**2).sum(axis=0))
