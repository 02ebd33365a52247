"""The `stats` table of a store."""

import numpy as np

from loaders.csc import CscLoader
from precompute.tables import stats


def test_every_feature_has_its_statistics_and_dead_ones_are_zero(tiny):
    frame = tiny.compute(stats).to_pandas()
    assert frame["feature_id"].tolist() == list(range(12))
    assert frame["n"].tolist() == (tiny.dense > 0).sum(axis=0).tolist()
    assert np.allclose(frame["density"], (tiny.dense > 0).mean(axis=0))
    assert np.allclose(frame["sum"], tiny.dense.sum(axis=0))
    assert frame["max"].tolist() == tiny.dense.max(axis=0).tolist()
    fires = tiny.dense[:, 0][tiny.dense[:, 0] > 0]
    row = frame.iloc[0]
    assert np.allclose(row[["q25", "q50", "q75"]].tolist(), np.quantile(fires, [0.25, 0.5, 0.75]))
    assert np.isclose(row["std"], fires.std())
    assert not frame.iloc[3].drop("feature_id").any()


def test_the_table_agrees_with_what_the_store_says_of_one_feature(tiny):
    """The store computes one feature from its activations alone."""
    frame = tiny.compute(stats).to_pandas()
    loader = CscLoader(tiny.directory)
    for feature in range(12):
        values = loader.load(feature).activations
        assert frame["n"][feature] == len(values)
        assert frame["max"][feature] == (values.max() if len(values) else 0)


def test_batches_of_another_size_give_the_same_table(tiny, new_tiny):
    assert new_tiny(0, batch_rows=50).compute(stats).equals(tiny.compute(stats))
