"""How far an SAE's labelling is, and which feature is worth a name next: what the Labels page and the queue work on."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from dashboard.explorer_frame import features_frame
from loaders.store import Store

BLIND_SHARE = "blind_share"
"""Prefix of the catalog's setting that keeps the share of double-blind features, by SAE fingerprint."""
MOST = 1_000
"""Features of one bulk edit, or that go on a list at once."""


class Progress(NamedTuple):
    """What is labelled of a store's features; masses are sums of activations over all its samples."""

    features: int
    alive: int
    labelled: int
    """Labelled features that fire."""

    mass: float
    labelled_mass: float


def activation_masses(store: Store) -> np.ndarray:
    """Sum of each feature's activations over all samples of the store, float64 [features].

    Density x mean activation where it fires x samples: by it the queue is ordered, and progress is weighed.
    """
    frame = features_frame(store)
    n = frame["n"].to_numpy(dtype=np.float64)
    return np.where(n > 0, n * np.nan_to_num(frame["mean"].to_numpy(dtype=np.float64)), 0.0)


def progress(store: Store, labelled: Collection[int]) -> Progress:
    """Shares of features and of activation mass that have a label; `labelled` are feature ids."""
    masses = activation_masses(store)
    alive = features_frame(store)["n"].to_numpy() > 0
    named = np.isin(np.arange(store.features), np.fromiter(labelled, dtype=np.int64, count=len(labelled)))
    return Progress(
        store.features,
        int(alive.sum()),
        int((named & alive).sum()),
        float(masses.sum()),
        float(masses[named].sum()),
    )


def by_value(store: Store, labelled: Collection[int]) -> list[int]:
    """Features that fire and have no label, the most valuable first: density x strength, which is their activation mass."""
    masses = activation_masses(store)
    named = set(labelled)
    order = np.argsort(-masses, kind="stable")
    return [int(feature) for feature in order if masses[feature] > 0 and int(feature) not in named]
