"""Write `transposed.zarr`: all values of a store as one dense Zarr v3 array [features, samples], for tools that want that."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.distributions import owners
from loaders.errors import BadInput
from precompute.disk import in_megabytes, require_space
from precompute.feature_blocks import FeatureBlocks
from precompute.partial import Partial
from precompute.progress import Progress

SHARD_BYTES = 64 * 2**20  # of values before compression; a row that is longer is a shard of its own
COPIES = 3  # of a shard in memory while it is compressed and written, itself included
BLOCK_NNZ = 1 << 18
ZEROS_PER_BYTE = 500  # that the compressor surely makes of them


def write(store_dir: Path, memory: int, progress: Progress) -> Path:
    """Write the array from `features.zarr`: float32, a chunk (1, samples) per feature, compressed with zstd and a
    checksum, whole features to a shard; every chunk is stored, zeros too, so that a missing file is noticed.

    Resumes at the shard where an earlier run ended. Raises BadInput without samples, or when a shard does not fit `memory` bytes.
    """
    features, target = FeatureBlocks.open(store_dir), store_dir / "transposed.zarr"
    source = features.fingerprint()
    if _is_complete(target, source):
        return target
    if not features.samples:
        raise BadInput(f"Store '{store_dir.name}' has no samples to write as a dense array. Leave --dense out.")
    row = 4 * features.samples
    rows = min(max(SHARD_BYTES // row, 1), features.features)
    if COPIES * rows * row > memory:
        raise BadInput(
            f"--memory {in_megabytes(memory)} is too little for --dense: {rows:,} features of {features.samples:,}"
            f" samples are written at once. Give at least {in_megabytes(COPIES * rows * row)}, or leave --dense out."
        )
    size = 8 * features.nnz + features.features * row // ZEROS_PER_BYTE
    require_space(store_dir, size, f"the dense activations of '{store_dir.name}'")
    partial = Partial(target, source)
    array = _open_array(partial, features, rows, source)
    values = np.empty((rows, features.samples), np.float32)
    with progress.step(f"write {store_dir.name} dense", features.features, "features") as bar:
        bar.skip(partial.done)
        for first in range(partial.done, features.features, rows):
            last = min(first + rows, features.features)
            values[:] = 0
            for block in features.blocks(BLOCK_NNZ, first, last):
                values[block.first - first + owners(block.indptr), block.indices] = block.data
            array[first:last] = values[: last - first]
            partial.advance(last)
            bar.advance(last - first)
        partial.publish()
    return target


def _open_array(partial: Partial, features: FeatureBlocks, rows: int, source: str) -> Any:
    import zarr
    from zarr.codecs import ZstdCodec

    with zarr.config.set({"array.write_empty_chunks": True}):  # read when an array is made or opened, and kept by it
        if partial.done:
            return zarr.open_array(partial.path, mode="r+")
        return zarr.create_array(
            partial.path,
            shape=(features.features, features.samples),
            dtype="float32",
            chunks=(1, features.samples),
            shards=(rows, features.samples),
            compressors=ZstdCodec(level=3, checksum=True),
            fill_value=0,
            attributes={"layout": "features, samples", "source": source},
        )


def _is_complete(target: Path, source: str) -> bool:
    try:
        found = json.loads((target / "zarr.json").read_text())
        rows, shard = int(found["shape"][0]), int(found["chunk_grid"]["configuration"]["chunk_shape"][0])
        shards = sum(path.is_file() for path in (target / "c").rglob("*"))
        return bool(found["attributes"]["source"] == source and shards == -(-rows // shard))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return False
