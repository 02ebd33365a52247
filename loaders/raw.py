"""Read plain arrays: an uncompressed Zarr v3 shard is raw little-endian bytes, so a memory map of it is the array."""

import json
from pathlib import Path

import numpy as np

from loaders.errors import StoreDamaged

INNER_CHUNK = 65_536  # elements; the range that a remote reader fetches


def padded_length(length: int) -> int:
    """Elements in the shard: `length` rounded up to whole inner chunks."""
    return -(-length // INNER_CHUNK) * INNER_CHUNK


def shard_bytes(length: int, dtype: np.dtype) -> int:
    """Size of the shard file: padded data, 16 bytes of index per inner chunk, 4 of checksum."""
    padded = padded_length(length)
    return padded * dtype.itemsize + padded // INNER_CHUNK * 16 + 4


def array_metadata(length: int, dtype: np.dtype) -> dict[str, object]:
    """The `zarr.json` of a 1-D array in one uncompressed shard (Zarr v3, sharding_indexed, index at the end)."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    return {
        "shape": [length],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(padded_length(length), INNER_CHUNK)]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [INNER_CHUNK],
                    "codecs": [little],
                    "index_codecs": [little, {"name": "crc32c"}],
                    "index_location": "end",
                },
            }
        ],
        "attributes": {},
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def open_raw(directory: Path) -> np.ndarray:
    """Map a 1-D array read-only, without copying.

    Raises StoreDamaged when metadata is missing, is not that of a raw shard, or the file has another size.
    """
    try:
        metadata = json.loads((directory / "zarr.json").read_text())
        length, dtype = int(metadata["shape"][0]), np.dtype(metadata["data_type"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise StoreDamaged(f"Array '{directory}' has no readable zarr.json ({error}). Rebuild the step.") from error
    if metadata != array_metadata(length, dtype):
        raise StoreDamaged(
            f"Array '{directory}' is not one uncompressed shard, so it cannot be mapped. Rebuild the step."
        )
    if length == 0:
        return np.empty(0, dtype)
    shard = directory / "c" / "0"
    wanted = shard_bytes(length, dtype)
    found = shard.stat().st_size if shard.exists() else -1
    if found != wanted:
        state = "is missing" if found < 0 else f"has {found:,} bytes instead of {wanted:,}"
        raise StoreDamaged(f"File '{shard}' {state}. Rebuild the step that wrote it.")
    return np.memmap(shard, dtype, mode="r", shape=(length,))


def open_group_attributes(directory: Path) -> dict[str, object]:
    """Attributes of the Zarr group at `directory`; raises StoreDamaged when there are none to read."""
    try:
        return dict(json.loads((directory / "zarr.json").read_text())["attributes"])
    except (OSError, ValueError, KeyError) as error:
        raise StoreDamaged(f"Group '{directory}' has no readable zarr.json ({error}). Rebuild the step.") from error
