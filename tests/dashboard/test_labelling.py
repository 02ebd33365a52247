"""Progress and the queue's order against the activations themselves."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dashboard.labelling import activation_masses, by_value, progress
from loaders.store import Store


@pytest.fixture
def sums(store: Store) -> np.ndarray:
    """Sum of each feature's activations, added up one by one."""
    return np.array([store.activations(feature)[1].astype(np.float64).sum() for feature in range(store.features)])


def test_masses_are_the_sums_of_the_activations(store: Store, sums: np.ndarray) -> None:
    np.testing.assert_allclose(activation_masses(store), sums, rtol=1e-3)


def test_progress_weighs_features_by_what_they_fire(store: Store, sums: np.ndarray) -> None:
    alive = np.flatnonzero(sums > 0)
    found = progress(store, [int(alive[0]), int(alive[3])])
    assert (found.features, found.alive, found.labelled) == (store.features, len(alive), 2)
    np.testing.assert_allclose(found.labelled_mass / found.mass, sums[alive[[0, 3]]].sum() / sums.sum(), rtol=1e-3)


def test_a_labelled_feature_that_never_fires_is_no_progress(store: Store, sums: np.ndarray, tmp_path: Path) -> None:
    copy = shutil.copytree(store.directory, tmp_path / store.directory.name)
    stats = store.stats().copy()
    stats.loc[3, ["n", "density", "max", "mean"]] = 0
    stats.to_parquet(copy / "tables" / "stats.parquet")
    dead = Store(copy, store.manifest, store.dataset, store.loader)
    found = progress(dead, [3])
    assert (found.alive, found.labelled, found.labelled_mass) == (int((sums > 0).sum()) - 1, 0, 0.0)
    assert 3 not in by_value(dead, [])


def test_the_queue_begins_with_the_largest_mass_and_leaves_out_what_is_named_or_dead(
    store: Store, sums: np.ndarray
) -> None:
    queue = by_value(store, [])
    assert sorted(queue) == np.flatnonzero(sums > 0).tolist()
    assert (np.diff(activation_masses(store)[queue]) <= 0).all()
    assert by_value(store, queue[:2]) == queue[2:]
