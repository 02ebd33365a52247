"""Snapshots of a run at log-spaced steps: decoder directions, densities and last firings, kept beside the SAE."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from loaders.snapshots import FOLDER, snapshot_name

BLOCK_ROWS = 8_192  # decoder rows that are made unit length at once


def log_spaced(steps: int) -> list[int]:
    """The steps of a run of `steps` at which snapshots are written: 1, 2, 5, 10, 20, 50, ... and the last."""
    found, power = [], 1
    while power <= steps:
        found += [step for step in (power, 2 * power, 5 * power) if step < steps]
        power *= 10
    return [*found, steps] if steps > 0 else []


def write_snapshot(
    sae_dir: Path,
    step: int,
    w_dec: Any,
    density: Any,
    last_fired: Any,
    rows: int,
    fvu: float,
    dead_after: int,
) -> Path:
    """Write `snapshots/step_<step>.safetensors` under a temporary name, flush it to the disk, rename it; its path.

    `w_dec` [d_sae, d_in] of any float type is kept as unit rows in float16 (a row of zeros stays zero), `density`
    [d_sae] is the share of the `rows` held-out rows on which a feature fires, `last_fired` [d_sae] the step, counted
    from 1, at which it last fired in training (0 never), `fvu` is over those rows, and a feature is dead when it did
    not fire in the last `dead_after` steps. Tensors and arrays are both taken. Raises ValueError where the shapes
    are not of one SAE.
    """
    features, width = w_dec.shape
    if tuple(density.shape) != (features,) or tuple(last_fired.shape) != (features,):
        raise ValueError(f"{features} decoder rows, but densities {density.shape}, last firings {last_fired.shape}.")
    directions = np.empty((features, width), np.float16)
    for start in range(0, features, BLOCK_ROWS):
        block = _floats(w_dec[start : start + BLOCK_ROWS])  # (rows, d_in)
        norm = np.linalg.norm(block, axis=1, keepdims=True)
        directions[start : start + BLOCK_ROWS] = block / np.where(norm > 0, norm, 1)
    fired = last_fired.detach().cpu().numpy() if hasattr(last_fired, "detach") else np.asarray(last_fired)
    tensors = {"w_dec": directions, "density": _floats(density), "last_fired": fired.astype(np.int64)}
    facts = {"step": str(step), "rows": str(rows), "fvu": repr(float(fvu)), "dead_after": str(dead_after)}
    path = sae_dir / FOLDER / snapshot_name(step)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata=facts)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def _floats(values: Any) -> NDArray[np.float32]:
    """A tensor on any device, or an array, as contiguous float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().float().numpy()
    return np.ascontiguousarray(values, dtype=np.float32)
