"""The `tokens` table of a store."""

import numpy as np
import pytest

from precompute.tables import tokens


@pytest.mark.parametrize("seed", [0, 1])
def test_every_feature_lists_its_tokens_by_tfidf(new_tiny, seed):
    tiny = new_tiny(seed)
    frame = tiny.compute(tokens, top=4).to_pandas()
    for feature in range(12):
        fires = tiny.dense[:, feature] > 0
        expected = []
        for token in np.unique(tiny.tokens[fires]):
            has = tiny.tokens == token
            df = len(np.unique(tiny.contexts[has]))
            n = int((fires & has).sum())
            rate = n / has.sum()
            tfidf = n * np.log(151 / (df + 1))
            expected.append((token, n, tiny.dense[fires & has, feature].mean(), tfidf, rate / fires.mean(), rate))
        expected.sort(key=lambda row: (-row[3], -row[1], row[0]))
        found = frame[frame["feature_id"] == feature].drop(columns="feature_id").to_numpy()
        assert np.allclose(found, np.array(expected[:4]).reshape(-1, 6), rtol=1e-5)


def test_dead_features_have_no_tokens(tiny):
    assert not set(tiny.compute(tokens)["feature_id"].to_pylist()) & {3, 7}


def test_batches_of_another_size_give_the_same_table(tiny, new_tiny):
    assert new_tiny(0, batch_rows=50).compute(tokens).equals(tiny.compute(tokens))
