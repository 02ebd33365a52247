"""Statistics and histograms of many features at once against NumPy, one feature at a time."""

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analysis.distributions import describe, histograms, owners

VALUES = st.one_of(st.just(0.0), st.sampled_from([0.25, 0.5, 1.0]), st.floats(2**-10, 2**13, width=32))
DENSE = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=VALUES)


@given(DENSE)
def test_statistics_are_those_of_each_feature_alone(dense):
    columns = sp.csc_array(dense)
    found = describe(columns.indptr.astype(np.int64), columns.data)
    for feature, column in enumerate(dense.T.astype(np.float64)):
        fires = column[column > 0]
        assert found.n[feature] == len(fires)
        if len(fires) == 0:
            assert not any(values[..., feature].any() for values in found)
            continue
        quartiles = np.quantile(fires, [0.25, 0.5, 0.75])
        assert np.isclose(found.sum[feature], fires.sum())
        assert np.isclose(found.mean[feature], fires.mean())
        assert np.isclose(found.std[feature], fires.std(), atol=1e-9)
        assert (found.min[feature], found.max[feature]) == (fires.min(), fires.max())
        assert np.allclose(found.quartiles[:, feature], quartiles, rtol=1e-6)


@given(DENSE, st.integers(1, 30))
def test_histograms_are_those_of_numpy(dense, bins):
    columns = sp.csc_array(dense)
    found = histograms(columns.indptr.astype(np.int64), columns.data, dense.max(axis=0), bins)
    for counts, column in zip(found, dense.T.astype(np.float64), strict=True):
        fires = column[column > 0]
        expected = np.histogram(fires, bins, range=(0.0, fires.max()))[0] if len(fires) else np.zeros(bins)
        assert counts.tolist() == expected.tolist()


def test_owners_name_the_feature_of_each_non_zero():
    assert owners(np.array([0, 2, 2, 3])).tolist() == [0, 0, 2]
