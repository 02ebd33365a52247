"""Trackers of training runs: one file each, chosen by name; the local one is always on and opened by the trainer."""

from collections.abc import Callable
from pathlib import Path

from loaders.errors import BadInput
from precompute.trackers.guarded import Guarded
from precompute.trackers.local import Local, replay
from precompute.trackers.mlflow import MLflow
from precompute.trackers.tensorboard import TensorBoard
from precompute.trackers.tracker import Tracker
from precompute.trackers.wandb import WeightsAndBiases

__all__ = ["TRACKERS", "Local", "Tracker", "make_trackers", "replay"]

TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "mlflow": MLflow,
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
}
"""By name; each comes with the extra of that name, which is imported when the tracker is made."""


def make_trackers(names: tuple[str, ...], directory: Path) -> list[Tracker]:
    """The trackers of those names, which write below `directory` unless their own variables send them elsewhere.

    Each is guarded: a failure in mid-run is said once and stops nothing. `local` may be named and adds none. Raises
    BadInput for an unknown name and for a tracker whose packages are not installed.
    """
    unknown = [name for name in names if name not in TRACKERS and name != Local.name]
    if unknown:
        raise BadInput(f"Tracker '{unknown[0]}' is unknown. Choose from {', '.join((*TRACKERS, Local.name))}.")
    return [Guarded(TRACKERS[name](directory)) for name in dict.fromkeys(names) if name != Local.name]
