"""Snapshots of a training run, read without torch: what every feature was at log-spaced steps."""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from loaders.errors import FeatureNotFound, StoreDamaged, StoreNotFound

FOLDER = "snapshots"
NAME = re.compile(r"step_([0-9]{8,12})\.safetensors")
BLOCK_ROWS = 8_192  # decoder rows that a pass over all of them holds at once
MOST = 2**62  # rows or steps that are still counted in 64 bits
DTYPES = {"w_dec": "F16", "density": "F32", "last_fired": "I64"}


def snapshot_name(step: int) -> str:
    """The file of a step: `step_00000050.safetensors`."""
    return f"step_{step:08d}.safetensors"


class Snapshot:
    """One step of a run; opening reads the header only, tensors come when asked for and in parts.

    `rows` fixed held-out rows gave `fvu` and the densities; a feature is dead when it did not fire in the last
    `dead_after` training steps.
    """

    def __init__(self, path: Path, step: int, rows: int, fvu: float, dead_after: int, shape: tuple[int, int]) -> None:
        self.path, self.step, self.rows, self.fvu, self.dead_after = path, step, rows, fvu, dead_after
        self.features, self.width = shape

    @classmethod
    def open(cls, path: Path) -> "Snapshot":
        """Raises StoreNotFound where there is no such file, StoreDamaged where it is torn or no snapshot of that step."""
        with _tensors(path) as file:
            facts = file.metadata() or {}
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            dtypes = {name: file.get_slice(name).get_dtype() for name in shapes}
        shape = shapes.get("w_dec", ())
        if dtypes != DTYPES or len(shape) != 2 or 0 in shape or shapes != _shapes(shape[0], shape[1]):
            held = ", ".join(f"{name} {dtypes[name]} {list(shapes[name])}" for name in sorted(shapes)) or "nothing"
            raise _damaged(path, f"wanted w_dec F16 [features, width], density F32 and last_fired I64, found {held}")
        named = NAME.fullmatch(path.name)
        try:
            step, rows, dead_after = (int(facts[name]) for name in ("step", "rows", "dead_after"))
            fvu = float(facts["fvu"])
        except (KeyError, ValueError) as error:
            raise _damaged(path, f"its metadata must state step, rows, fvu and dead_after ({error})") from error
        if named is None or step != int(named[1]) or not (0 < rows < MOST and 0 < dead_after < MOST):
            raise _damaged(path, f"its metadata say step {step}, {rows} rows and dead after {dead_after} steps")
        return cls(path, step, rows, fvu, dead_after, (shape[0], shape[1]))

    @cached_property
    def density(self) -> NDArray[np.float32]:
        """Share of the held-out rows on which each feature fires: [features]; raises StoreDamaged outside of [0, 1]."""
        density = self._whole("density")
        if not (np.isfinite(density).all() and density.min() >= 0 and density.max() <= 1):
            raise _damaged(self.path, "a density is not within 0 and 1")
        return density

    @cached_property
    def last_fired(self) -> NDArray[np.int64]:
        """Training step, counted from 1, at which each feature last fired; 0 never: [features]."""
        fired = self._whole("last_fired")
        if fired.min() < 0 or fired.max() > self.step:
            raise _damaged(self.path, f"a feature fired at step {fired.max()}, but the snapshot is of step {self.step}")
        return fired

    @property
    def is_dead(self) -> NDArray[np.bool_]:
        """Which features did not fire in the last `dead_after` steps: [features]; as the trainer counts them."""
        return self.last_fired <= self.step - self.dead_after

    def direction(self, feature: int) -> NDArray[np.float32]:
        """Unit decoder row of one feature, [width]; only that row is read. Raises FeatureNotFound."""
        if not 0 <= feature < self.features:
            raise FeatureNotFound(feature, self.features, f"the SAE '{self.path.parent.parent.name}'")
        with _tensors(self.path) as file:
            return _finite(file.get_slice("w_dec")[feature : feature + 1], self.path)[0]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """All unit decoder rows, a block at a time: (id of its first feature, rows [at most BLOCK_ROWS, width])."""
        with _tensors(self.path) as file:
            rows = file.get_slice("w_dec")
            for start in range(0, self.features, BLOCK_ROWS):
                yield start, _finite(rows[start : min(start + BLOCK_ROWS, self.features)], self.path)

    def _whole(self, name: str) -> Any:
        with _tensors(self.path) as file:
            return file.get_tensor(name)


class Trajectory(NamedTuple):
    """One feature over the snapshots, by step ascending."""

    step: NDArray[np.int64]  # [snapshots]
    density: NDArray[np.float32]  # [snapshots]
    last_fired: NDArray[np.int64]  # [snapshots]
    direction: NDArray[np.float32]  # [snapshots, width], unit rows


class Found(NamedTuple):
    """What a run's folder holds."""

    snapshots: list[Snapshot]
    damaged: list[str]


def snapshot_steps(sae_dir: Path) -> list[int]:
    """Steps of which there is a snapshot, ascending; nothing is opened."""
    folder = sae_dir / FOLDER
    return steps_of(path.name for path in folder.iterdir()) if folder.is_dir() else []


def steps_of(names: Iterable[str]) -> list[int]:
    """Steps that the names of files are snapshots of, ascending."""
    return sorted(int(found[1]) for name in names if (found := NAME.fullmatch(name)))


def open_snapshot(sae_dir: Path, step: int) -> Snapshot:
    """The snapshot of one step; raises StoreNotFound or StoreDamaged."""
    return Snapshot.open(sae_dir / FOLDER / snapshot_name(step))


def read_snapshots(sae_dir: Path, opened: Callable[[Path], Snapshot] = Snapshot.open) -> Found:
    """Every snapshot of a run that can be read, by step, and a sentence for each that cannot; of one shape all of them.

    Densities and last firings are read and checked, decoder directions are not. `opened` opens a path, so that a caller
    may keep what it opened before.
    """
    snapshots: list[Snapshot] = []
    damaged: list[str] = []
    for step in reversed(snapshot_steps(sae_dir)):
        try:
            snapshot = opened(sae_dir / FOLDER / snapshot_name(step))
            _ = snapshot.density, snapshot.last_fired
            if snapshots and (snapshot.features, snapshot.width) != (snapshots[0].features, snapshots[0].width):
                raise _damaged(
                    snapshot.path,
                    f"it has {snapshot.features} features of width {snapshot.width}, that of step {snapshots[0].step}"
                    f" {snapshots[0].features} of {snapshots[0].width}",
                )
            snapshots.append(snapshot)
        except StoreNotFound:  # deleted since it was listed
            continue
        except StoreDamaged as error:
            damaged.append(str(error))
    return Found(snapshots[::-1], damaged[::-1])


def read_trajectory(snapshots: list[Snapshot], feature: int) -> Trajectory:
    """One feature over the given snapshots; of each decoder only that feature's row is read."""
    return Trajectory(
        np.array([snapshot.step for snapshot in snapshots], np.int64),
        np.array([snapshot.density[feature] for snapshot in snapshots], np.float32),
        np.array([snapshot.last_fired[feature] for snapshot in snapshots], np.int64),
        np.stack([snapshot.direction(feature) for snapshot in snapshots]),
    )


def _shapes(features: int, width: int) -> dict[str, tuple[int, ...]]:
    return {"w_dec": (features, width), "density": (features,), "last_fired": (features,)}


@contextmanager
def _tensors(path: Path) -> Iterator[Any]:
    """The open file; raises StoreNotFound where it is not there, StoreDamaged where it cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except FileNotFoundError as error:
        raise StoreNotFound(
            f"There is no snapshot at '{path}'. Its run had none at that step, or it was deleted."
        ) from error
    except (OSError, SafetensorError) as error:
        raise _damaged(path, f"it cannot be read: {error}") from error


def _finite(rows: NDArray[np.float16], path: Path) -> NDArray[np.float32]:
    found = rows.astype(np.float32)
    if not math.isfinite(float(found.sum())):
        raise _damaged(path, "a decoder direction is not finite")
    return found


def _damaged(path: Path, words: str) -> StoreDamaged:
    return StoreDamaged(f"Snapshot '{path}' is damaged: {words}. Delete it; the other steps stay readable.")
