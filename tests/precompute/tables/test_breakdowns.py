"""The `breakdowns` table of a store."""

import numpy as np

from precompute.tables import breakdowns


def test_every_feature_is_counted_in_every_category(tiny):
    frame = tiny.compute(breakdowns).to_pandas()
    assert len(frame) == 12 * 3
    for row in frame.itertuples():
        inside = tiny.dense[np.isin(tiny.contexts % 3, "xyz".index(row.category)), row.feature_id]
        assert (row.samples, row.n) == (len(inside), (inside > 0).sum())
        assert np.isclose(row.sum, inside.sum())
        assert np.isclose(row.sum_squares, (inside.astype(float) ** 2).sum())


def test_names_and_constants_are_no_categories(tiny):
    assert set(tiny.compute(breakdowns).to_pandas()["column"]) == {"kind"}


def test_the_categories_of_a_column_add_up_to_all_samples_and_activations(tiny):
    sums = tiny.compute(breakdowns).to_pandas().groupby("feature_id")[["samples", "n", "sum"]].sum()
    assert set(sums["samples"]) == {len(tiny.dense)}
    assert sums["n"].tolist() == (tiny.dense > 0).sum(axis=0).tolist()
    assert np.allclose(sums["sum"], tiny.dense.sum(axis=0))
