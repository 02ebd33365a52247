"""Write plain little-endian arrays that are also valid Zarr v3: one uncompressed shard per array, filled through a
memory map, so that any size is written in bounded memory and read back without a copy."""

import json
import os
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from loaders.raw import INNER_CHUNK, array_metadata, padded_length, shard_bytes

DTYPES = {"uint8", "int32", "uint32", "int64", "uint64", "float32", "float64"}


def create_group(directory: Path, attributes: dict[str, object]) -> Path:
    """Make an empty Zarr v3 group at `directory` with its attributes."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
    (directory / "zarr.json").write_text(json.dumps(document, indent=2))
    return directory


def create_raw(group: Path, name: str, length: int, dtype: npt.DTypeLike) -> np.ndarray:
    """Return a writable array [length] that is the file's own bytes; call `finish_raw` when it is filled."""
    kind = np.dtype(dtype)
    if kind.name not in DTYPES:
        raise TypeError(f"Raw arrays hold {sorted(DTYPES)}, not {kind.name}.")
    directory = group / name
    (directory / "c").mkdir(parents=True, exist_ok=True)
    if length == 0:
        (directory / "zarr.json").write_text(json.dumps(array_metadata(0, kind), indent=2))
        return np.empty(0, kind)
    shard = directory / "c" / "0"
    with open(shard, "wb") as file:
        os.posix_fallocate(
            file.fileno(), 0, shard_bytes(length, kind)
        )  # a full disk says so here, not by a signal later
    return np.memmap(shard, kind, mode="r+", shape=(length,))


def finish_raw(group: Path, name: str, values: np.ndarray) -> None:
    """Flush `values` (what `create_raw` returned), append the shard index and write the array's metadata."""
    length, kind = len(values), values.dtype
    if length == 0:
        return
    if isinstance(values, np.memmap):
        values.flush()
    chunks = padded_length(length) // INNER_CHUNK
    starts = np.arange(chunks, dtype="<u8") * (INNER_CHUNK * kind.itemsize)
    index = np.stack([starts, np.full_like(starts, INNER_CHUNK * kind.itemsize)], axis=1).tobytes()
    with open(group / name / "c" / "0", "r+b") as file:
        file.seek(padded_length(length) * kind.itemsize)
        file.write(index + struct.pack("<I", google_crc32c.value(index)))
        file.flush()
        os.fsync(file.fileno())
    (group / name / "zarr.json").write_text(json.dumps(array_metadata(length, kind), indent=2))


def write_raw(group: Path, name: str, array: npt.ArrayLike) -> None:
    """Write a whole 1-D array that is already in memory."""
    source = np.ascontiguousarray(array)
    target = create_raw(group, name, len(source), source.dtype)
    target[...] = source
    finish_raw(group, name, target)
