"""Rows for the training benchmark: real MiniLM activations, one layer and two side by side, and a planted dictionary.

Hands on folders with `train.npy` and `held_out.npy`, float32, about the training rows' mean and with one scale such that
E|x|^2 = d, so that every trainer reads exactly the same numbers."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from loaders.workspace import Workspace
from precompute import capture, dataset
from precompute.activations import Activations
from precompute.progress import Progress

MODEL, DATASET, HOOKS = "minilm", "docs", ("encoder.layer.3", "encoder.layer.5")
TRAIN_ROWS, HELD_OUT_ROWS = 65_536, 8_192
SEED = 0


class Planted(NamedTuple):
    """Rows made of known directions: x = sum of `active` of them on average, each by its own strength, and noise."""

    directions: int = 2_048
    width: int = 256
    active: int = 16
    """Mean number of directions in a row; each is in or out on its own."""
    strength: tuple[float, float] = (0.5, 1.5)
    """Uniform between these."""
    noise: float = 0.02
    """Standard deviation of each coordinate's Gaussian noise."""
    rows: int = 131_072


def make_workspace(directory: Path) -> Workspace:
    """The demo's dataset with activations at both hook points, unless they are there already."""
    workspace, progress = Workspace(directory), Progress()
    missing = [
        hook for hook in HOOKS if not (workspace.activations_dir(MODEL, DATASET, hook) / "manifest.json").is_file()
    ]
    if missing:
        dataset.run(dataset.Config(id=DATASET, model=MODEL), workspace, progress)
        capture.run(capture.Config(model=MODEL, dataset=DATASET, hooks=tuple(missing)), workspace, progress)
    return workspace


def write_rows(workspace: Workspace, small: Path, large: Path) -> dict[str, int]:
    """Write the first hook point to `small`, both side by side to `large`; held-out rows are of other documents."""
    texts = workspace.dataset(DATASET)
    is_held_out = np.repeat(texts.held_out, np.diff(texts.sample_offsets))
    generator = np.random.default_rng(SEED)
    kept = [
        generator.choice(np.flatnonzero(is_held_out == held_out), count, replace=False)
        for held_out, count in ((False, TRAIN_ROWS), (True, HELD_OUT_ROWS))
    ]
    layers = []
    for hook in HOOKS:
        activations = Activations.open(workspace.activations_dir(MODEL, DATASET, hook))
        layers.append(normalised(*(activations.take(rows) for rows in kept)))
    save(small, *layers[0])
    save(large, *(np.concatenate(parts, axis=1) for parts in zip(*layers, strict=True)))
    return {"training_rows": TRAIN_ROWS, "held_out_rows": HELD_OUT_ROWS, "documents": int(texts.manifest["documents"])}


def write_planted(planted: Planted, directory: Path) -> None:
    """Write rows of a planted dictionary, and its unit directions as `directions.npy` [directions, width]."""
    generator = np.random.default_rng(SEED)
    directions = generator.standard_normal((planted.directions, planted.width), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows = np.concatenate([_planted_rows(planted, directions, generator) for _ in range(planted.rows // 4096 + 1)])
    save(directory, *normalised(rows[: planted.rows], rows[-4096:]))
    np.save(directory / "directions.npy", directions)


def _planted_rows(planted: Planted, directions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """4,096 rows [4096, width]."""
    shape = (4096, planted.directions)
    codes = generator.uniform(*planted.strength, shape).astype(np.float32)
    codes *= generator.random(shape) < planted.active / planted.directions
    noise = generator.standard_normal((4096, planted.width), dtype=np.float32)
    return codes @ directions + planted.noise * noise


def normalised(train: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both about the training rows' mean, times one scalar such that E|x|^2 = width on the training rows."""
    mean = train.mean(0, dtype=np.float64).astype(np.float32)
    scale = np.sqrt(train.shape[1] / np.square(train - mean).sum(1, dtype=np.float64).mean())
    return (train - mean) * np.float32(scale), (held_out - mean) * np.float32(scale)


def save(directory: Path, train: np.ndarray, held_out: np.ndarray) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    np.save(directory / "train.npy", train)
    np.save(directory / "held_out.npy", held_out)
