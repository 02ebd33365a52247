"""The fast detector is the obvious slow one: Pearson over dense columns, and pairs counted one by one."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from analysis.detection import activation_matrix, area_under_curve, best_detector
from loaders.store import Store


@pytest.fixture
def dense() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.where(random.random((200, 6)) < 0.3, random.integers(1, 5, (200, 6)).astype(float), 0.0)


def slow_area(values: np.ndarray, mask: np.ndarray) -> float:
    pairs = [(a > b) + 0.5 * (a == b) for a in values[mask] for b in values[~mask]]
    return float(np.mean(pairs))


def test_area_under_the_curve_counts_pairs(dense: np.ndarray) -> None:
    mask = np.random.default_rng(1).random(200) < 0.2
    for column in dense.T:
        assert area_under_curve(column, mask) == pytest.approx(slow_area(column, mask))


def test_without_both_kinds_nothing_is_told_apart(dense: np.ndarray) -> None:
    assert (
        area_under_curve(dense[:, 0], np.ones(200, bool)) == area_under_curve(dense[:, 0], np.zeros(200, bool)) == 0.5
    )


def test_the_best_detector_has_the_highest_correlation(dense: np.ndarray) -> None:
    mask = (dense[:, 4] > 1) ^ (np.random.default_rng(2).random(200) < 0.05)
    found = best_detector(csc_array(dense), mask)
    correlations = [np.corrcoef(column, mask)[0, 1] for column in dense.T]
    assert found.feature == int(np.argmax(correlations)) == 4
    assert found.pearson == pytest.approx(max(correlations))
    assert found.area == pytest.approx(slow_area(dense[:, 4], mask))


def test_the_matrix_of_a_store_holds_what_the_store_says(store: Store) -> None:
    matrix = activation_matrix(store)
    assert matrix.shape == (store.samples, store.features)
    assert np.array_equal(np.diff(matrix.indptr), store.stats()["n"])
