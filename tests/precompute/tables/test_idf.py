"""The `idf` table of a store's dataset."""

import shutil

import numpy as np
import pytest

from loaders.errors import StoreDamaged
from precompute.tables import idf


def test_tokens_are_counted_by_sample_and_by_context_without_special_ones(tiny):
    frame = tiny.compute(idf).to_pandas()
    ids, counts = np.unique(tiny.tokens, return_counts=True)
    assert frame["token_id"].tolist() == ids.tolist()
    assert frame["count"].tolist() == counts.tolist()
    assert frame["df"].tolist() == [len(np.unique(tiny.contexts[tiny.tokens == token])) for token in ids]
    assert np.allclose(frame["idf"], np.log((150 + 1) / (frame["df"] + 1)))


def test_a_dataset_that_is_not_the_stores_is_refused(new_tiny):
    store, other = new_tiny(0), new_tiny(0, contexts=20)
    mine = store.workspace.dataset_dir("words")
    shutil.rmtree(mine)
    other.workspace.dataset_dir("words").rename(mine)
    with pytest.raises(StoreDamaged, match=r"holds [\d,]+ samples, its dataset has"):
        store.compute(idf)
