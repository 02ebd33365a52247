"""The features that are shown to strangers are the best by their rule, and the rule's figures are those of the activations."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import readable
from loaders.store import Store


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny store has few samples: thresholds that it can meet."""
    monkeypatch.setattr(readable, "LEAST_FIRINGS", 20)
    monkeypatch.setattr(readable, "LEAST_OF_WORD", 2)


def fires_on(store: Store, feature: int) -> np.ndarray:
    return np.isin(np.arange(store.samples), store.activations(feature).indices)


def tokens_of(store: Store) -> np.ndarray:
    return np.array(store.dataset.vocab, dtype=object)[store.dataset.sample_tokens(np.arange(store.samples))]


@pytest.mark.usefixtures("lenient")
def test_a_features_word_is_counted_over_all_samples(store: Store) -> None:
    found = readable.word_feature(store)
    assert found is not None
    is_word, fires = tokens_of(store) == found.word, fires_on(store, found.feature)
    assert (found.n, found.total) == (int((is_word & fires).sum()), int(is_word.sum()))
    assert found.precision == pytest.approx((is_word & fires).sum() / fires.sum())


@pytest.mark.usefixtures("lenient")
def test_no_other_feature_tells_any_word_better(store: Store) -> None:
    found = readable.word_feature(store)
    assert found is not None
    tokens, best = tokens_of(store), 0.0
    words = [word for word in set(tokens) if len(word) >= 3 and word.isalpha()]
    for feature in range(store.features):
        fires = fires_on(store, feature)
        for word in words:
            both = int((fires & (tokens == word)).sum()) if fires.any() else 0
            if both >= 10:
                best = max(best, 2 * both / (fires.sum() + (tokens == word).sum()))
    mine = 2 * found.n / (found.n / found.precision + found.total)
    assert mine == pytest.approx(best)


@pytest.mark.usefixtures("lenient")
def test_a_topics_share_is_that_of_its_firings(store: Store) -> None:
    found = readable.topic_feature(store)
    if found is None:
        pytest.fail("the tiny store has metadata, and features that no single token explains")
    codes, names = store.dataset.column(found.column)
    contexts, _ = store.dataset.locate(np.arange(store.samples))
    inside, fires = codes[contexts] == names.index(found.category), fires_on(store, found.feature)
    assert found.share == pytest.approx((inside & fires).sum() / fires.sum())
    assert found.base == pytest.approx(inside.mean()) and found.n == fires.sum()


def test_a_meaning_is_several_words_none_of_which_says_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(0, "must", 100, 1.0, 200), (0, "required", 60, 0.9, 200), (0, "needs", 30, 0.8, 200), (0, "the", 10, 0.01, 200),
            (1, "one", 190, 1.0, 200), (1, "once", 5, 1.0, 200), (1, "first", 5, 1.0, 200),
            (2, "a1", 70, 1.0, 210), (2, "b2", 70, 1.0, 210), (2, "c3", 70, 1.0, 210)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["feature_id", "token", "n", "rate", "firings"])
    frame["share"] = frame["n"] / frame["firings"]
    monkeypatch.setattr(readable, "_tokens", lambda store: frame)
    found = readable.meaning_feature(SimpleNamespace())  # type: ignore[arg-type]
    assert found == readable.MeaningFeature(0, ["must", "required", "needs"], 0.95)


def test_a_store_without_such_features_has_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readable, "LEAST_FIRINGS", store.samples + 1)
    assert readable.meaning_feature(store) is readable.topic_feature(store) is None
    monkeypatch.setattr(readable, "LEAST_FIRINGS", 2 * store.samples + 1)
    assert readable.word_feature(store) is None
