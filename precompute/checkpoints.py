"""Checkpoints of a training run: everything that a bit-exact resume needs, only the newest kept."""

import os
from pathlib import Path
from typing import Any

import torch

from loaders.errors import StoreDamaged


def save_checkpoint(directory: Path, step: int, state: dict[str, Any]) -> None:
    """Write `step_<step>.pt` under a temporary name, flush, rename, then delete every other file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"step_{step:08d}.pt"
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        torch.save({**state, "step": step}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    for other in directory.iterdir():
        if other != path:
            other.unlink()


def load_checkpoint(directory: Path) -> dict[str, Any] | None:
    """The newest checkpoint's state (tensors and plain values only), or None; raises StoreDamaged when unreadable."""
    path = newest_checkpoint(directory)
    if path is None:
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a torn file
        raise StoreDamaged(f"Checkpoint '{path}' cannot be read. Delete it to train from the start.") from error
    return state


def newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint of the latest step, or None where there is none."""
    return max(directory.glob("step_*.pt"), default=None)
