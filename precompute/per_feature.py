"""Write `neuron_acts`: a pair of npy files for every feature, the layout that SplatNLP reads."""

import json
from pathlib import Path

import numpy as np

from precompute.disk import require_space, write_whole
from precompute.feature_blocks import FeatureBlock, FeatureBlocks
from precompute.partial import Partial
from precompute.progress import Progress

BLOCK_NNZ = 1 << 22  # activations between two notes of how far it came
NAME = "layout.json"
BLOCKS_ON_DISK = 3 * 4096  # bytes that a feature's directory and its two files round up to
HEADERS = 256


def write(store_dir: Path, memory: int, progress: Progress) -> Path:
    """Write `neuron_%04d/acts.npy` (float32 [n]) and `idxs.npy` (int64 [n] samples, ascending) from `features.zarr`, for
    features that never fire too, and `layout.json` with the shape.

    Resumes at the block of features where an earlier run ended.
    """
    features, target = FeatureBlocks.open(store_dir), store_dir / "neuron_acts"
    source = features.fingerprint()
    if _is_complete(target, source):
        return target
    size = 12 * features.nnz + features.features * (BLOCKS_ON_DISK + HEADERS)
    require_space(store_dir, size, f"the npy files of '{store_dir.name}'")
    partial = Partial(target, source)
    with progress.step(f"write {store_dir.name} per feature", features.features, "features") as bar:
        bar.skip(partial.done)
        for block in features.blocks(max(min(BLOCK_NNZ, memory // 16), 1), partial.done):
            _write_block(partial.path, block)
            partial.advance(block.last)
            bar.advance(block.last - block.first)
        document = {"features": features.features, "samples": features.samples, "nnz": features.nnz, "source": source}
        write_whole(partial.path / NAME, json.dumps(document).encode())
        partial.publish()
    return target


def _write_block(directory: Path, block: FeatureBlock) -> None:
    for feature in range(block.first, block.last):
        start, stop = block.indptr[feature - block.first], block.indptr[feature - block.first + 1]
        pair = directory / f"neuron_{feature:04d}"
        pair.mkdir(exist_ok=True)
        np.save(pair / "acts.npy", block.data[start:stop].astype(np.float32))
        np.save(pair / "idxs.npy", block.indices[start:stop].astype(np.int64))


def _is_complete(target: Path, source: str) -> bool:
    try:
        layout = json.loads((target / NAME).read_text())
        pairs = sum((pair / "acts.npy").exists() and (pair / "idxs.npy").exists() for pair in target.glob("neuron_*"))
        return bool(layout["source"] == source and pairs == layout["features"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
