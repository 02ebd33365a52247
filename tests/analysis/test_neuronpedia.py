"""What a public page shows of a feature equals the plain computation on dense activations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.neuronpedia import bands, bars, choose, context_values, share_inside, similarity
from loaders.protocol import FeatureActivations
from loaders.store import Store

VALUES = st.lists(st.floats(2**-7, 128, width=32), min_size=1, max_size=60).map(
    lambda found: np.array(found, np.float32)
)


def dense(store: Store, feature: int) -> np.ndarray:
    values = np.zeros(store.samples)
    found = store.activations(feature)
    values[found.indices] = found.activations
    return values


@given(VALUES, st.integers(1, 50))
def test_bars_count_every_value_once_around_ascending_centres(values: np.ndarray, count: int) -> None:
    found = bars(values, count, low=0.0)
    assert found.heights.sum() == len(values) and len(found.heights) == len(found.centres) == count
    assert (np.diff(found.centres) > 0).all() and found.centres[0] > 0 and found.centres[-1] < values.max()


def test_a_dead_feature_has_no_bars_and_no_bands() -> None:
    nothing = np.empty(0, np.float32)
    assert not len(bars(nothing, 50).heights) and bands(nothing, 5, 100) == []


@given(VALUES, st.integers(1, 8), st.integers(0, 500))
def test_bands_share_out_all_samples_from_the_strongest_down(values: np.ndarray, count: int, zeros: int) -> None:
    found = bands(values, count, len(values) + zeros)
    assert [band.high for band in found] == sorted((band.high for band in found), reverse=True)
    assert found[0].high == values.max() and found[-1].low == 0
    assert sum(band.share for band in found) == pytest.approx(1)


def test_a_share_counts_samples_without_activation_in_the_lowest_band() -> None:
    values = np.array([1, 2, 3, 4], np.float32)
    assert share_inside(values, 0, 2, 10) == 0.7 and share_inside(values, 2, 4, 10) == 0.3


def test_a_context_has_its_values_on_its_own_tokens(store: Store) -> None:
    data = store.dataset
    for feature in (0, 5, 40):
        values, tokens = dense(store, feature), np.zeros(len(data.tokens))
        tokens[data.samples] = values
        for context in (0, 7, data.contexts - 1):
            wanted = tokens[data.offsets[context] : data.offsets[context + 1]]
            np.testing.assert_array_equal(context_values(store.activations(feature), data, context), wanted)


def test_similarity_is_that_of_the_dense_columns(store: Store) -> None:
    for a, b in ((0, 1), (5, 40), (7, 7)):
        x, y = dense(store, a), dense(store, b)
        found = similarity(store.activations(a), store.activations(b), store.samples)
        assert found.pearson == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
        assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), abs=1e-9)
    nothing = FeatureActivations(np.empty(0, np.uint32), np.empty(0, np.float32))
    assert similarity(nothing, store.activations(5), store.samples) == (0.0, 0.0)


def test_samples_are_chosen_by_strength_then_drawn_by_seed_one_per_context(store: Store) -> None:
    found = store.activations(5)
    chosen = choose(found, store.dataset, 4, 3, 2, seed=1)
    assert chosen == choose(found, store.dataset, 4, 3, 2, seed=1)
    assert [each.sample for each in chosen[:4]] == [each.sample for each in store.examples(5, 4).items]
    values = dense(store, 5)
    for band in {each.band for each in chosen[4:]}:
        drawn = [each for each in chosen[4:] if each.band == band]
        assert 1 <= len(drawn) <= 2 and len({each.context for each in drawn}) == len(drawn)
        assert all(band.low <= values[each.sample] <= band.high for each in drawn if band)
