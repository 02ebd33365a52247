"""The `histograms` table of a store."""

import numpy as np

from loaders.schema import HISTOGRAM_BINS
from precompute.tables import histograms


def test_counts_are_those_of_numpy_over_zero_to_the_maximum(tiny):
    frame = tiny.compute(histograms).to_pandas()
    for feature, column in enumerate(tiny.dense.T.astype(float)):
        fires = column[column > 0]
        expected = np.histogram(fires, HISTOGRAM_BINS, (0.0, max(column.max(), 1e-9)))[0]
        assert frame["max"][feature] == column.max()
        assert frame["counts"][feature].tolist() == expected.tolist()


def test_a_dead_feature_has_empty_bins(tiny):
    row = tiny.compute(histograms).to_pandas().iloc[7]
    assert (row["max"], row["counts"].sum()) == (0, 0)
