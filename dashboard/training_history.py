"""What became of an SAE's features while it was trained, from its snapshots: movement, neighbours, life and death."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loaders.snapshots import Found, Snapshot, Trajectory, read_snapshots, read_trajectory

KEPT_SNAPSHOTS = 64
"""Snapshots whose densities are kept in memory, over all runs."""
KEPT_ANSWERS = 64
"""Movements and neighbourhoods over all features that are remembered."""


class Moved(NamedTuple):
    """Features between two snapshots, the one that turned farthest first; all arrays are [n]."""

    feature: NDArray[np.int64]
    cosine: NDArray[np.float32]  # of the decoder direction before and after
    density_before: NDArray[np.float32]
    density_after: NDArray[np.float32]


class Change(NamedTuple):
    """Features by what happened to them up to one snapshot; ids ascending."""

    dead: NDArray[np.int64]
    newly_dead: NDArray[np.int64]  # alive at the snapshot before
    revived: NDArray[np.int64]  # dead at the snapshot before


def history(sae_dir: Path) -> Found:
    """A run's snapshots, the newest file of each step; what was opened before is not read again."""
    return read_snapshots(sae_dir, _open)


def _open(path: Path) -> Snapshot:
    try:
        status = path.stat()
    except FileNotFoundError:
        return Snapshot.open(path)  # says so
    return _opened(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=KEPT_SNAPSHOTS)
def _opened(path: Path, _modified: int, _size: int) -> Snapshot:
    return Snapshot.open(path)


@lru_cache(maxsize=KEPT_ANSWERS)
def cosines(one: Snapshot, other: Snapshot) -> NDArray[np.float32]:
    """Cosine of each feature's decoder directions in two snapshots: [features]; one pass over both, in blocks."""
    parts = [np.einsum("fd,fd->f", a, b) for (_, a), (_, b) in zip(one.blocks(), other.blocks(), strict=True)]
    return np.clip(np.concatenate(parts), -1, 1)


@lru_cache(maxsize=KEPT_ANSWERS)
def nearest(snapshot: Snapshot, feature: int, most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Ids and decoder cosines [at most `most`] of the features nearest to one at a snapshot; exact, over all of them."""
    direction = snapshot.direction(feature)
    cosine = np.clip(np.concatenate([rows @ direction for _, rows in snapshot.blocks()]), -1, 1)
    cosine[feature] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(most, len(cosine) - 1)]
    return order, cosine[order]


def moved_most(before: Snapshot, after: Snapshot, most: int) -> Moved:
    """The features whose decoder direction turned farthest between two snapshots, smallest cosine first."""
    cosine = cosines(before, after)
    order = np.argsort(cosine, kind="stable")[:most]
    return Moved(order, cosine[order], before.density[order], after.density[order])


def default_feature(snapshots: Sequence[Snapshot]) -> int:
    """The feature that turned farthest over the whole run, of those that fire at its end (of all where none does)."""
    first, last = snapshots[0], snapshots[-1]
    cosine = np.where(last.density > 0, cosines(first, last), np.inf)
    return int(cosine.argmin())


class Way(NamedTuple):
    """One feature's way through the run; the cosines are [snapshots]."""

    trajectory: Trajectory
    to_start: NDArray[np.float32]
    to_end: NDArray[np.float32]


def way_of(snapshots: list[Snapshot], feature: int) -> Way:
    """Cosine of a feature's decoder direction to its first and to its last one, beside its densities."""
    found = read_trajectory(snapshots, feature)
    start, end = found.direction @ found.direction[0], found.direction @ found.direction[-1]
    return Way(found, np.clip(start, -1, 1), np.clip(end, -1, 1))


def change_at(snapshots: Sequence[Snapshot], place: int) -> Change:
    """Which features are dead at a snapshot, and which died or came back since the one before it."""
    now = snapshots[place].is_dead
    before = snapshots[place - 1].is_dead if place else np.zeros_like(now)
    return Change(np.flatnonzero(now), np.flatnonzero(now & ~before), np.flatnonzero(before & ~now))
