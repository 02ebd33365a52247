"""Restore the files of a pack's parts in bounded memory, each with exactly the bytes that its manifest lists."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.manifest import NAME, file_sha256
from loaders.raw import shard_bytes
from precompute.feature_blocks import BLOCK_NNZ
from precompute.pack_source import ACTIVATIONS, BLOCK, COMPRESSED, PackDamaged, PackSource
from precompute.packing import ARRAYS, SCHEMA, SHARDS
from precompute.progress import Step
from precompute.raw import create_raw, finish_raw

Found = TypeVar("Found")


class Part(NamedTuple):
    """One directory to restore: `kind` in the pack, where it is built and where it goes; its files as listed."""

    kind: str
    built: Path
    target: Path
    files: dict[str, dict[str, Any]]


class Shape(NamedTuple):
    """Of the activations."""

    samples: int
    features: int
    nnz: int


def restore(source: PackSource, part: Part, shape: Shape, bar: Step) -> None:
    """Write all files of a part into its hidden directory, its manifest last; raises PackDamaged that names the file whose
    content is not what was listed."""
    shutil.rmtree(part.built, ignore_errors=True)
    part.built.mkdir(parents=True)
    shards = [name for name in part.files if part.kind == "store" and name in SHARDS]
    for name, entry in part.files.items():
        if name not in shards:
            _restore_file(source, f"{part.kind}/{name}", part.built / name, entry)
            bar.advance(entry["bytes"])
    if part.kind == "store":
        _restore_activations(source, part, shape, bar)
    for name, entry in part.files.items():
        written = entry.get("mtime_ns")
        if isinstance(written, int) and 0 <= written < 2**62:  # so that the next publication need not hash it again
            os.utime(part.built / name, ns=(written, written))
    if f"{part.kind}/{NAME}" in source.files:
        with source.open(f"{part.kind}/{NAME}") as file, open(part.built / NAME, "wb") as out:
            shutil.copyfileobj(file, out)
            out.flush()
            os.fsync(out.fileno())


def _restore_file(source: PackSource, name: str, target: Path, entry: dict[str, Any]) -> None:
    packed = name if name in source.files else name + COMPRESSED
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open(packed) as file, open(target, "wb") as out:
        stream: Any = file if packed == name else pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        while size <= entry["bytes"] and (block := _read(source, packed, stream.read, BLOCK)):
            size += len(block)
            digest.update(block)
            out.write(block)
    if size != entry["bytes"] or digest.hexdigest() != entry["sha256"]:
        raise _not_restored(source, packed)


def _restore_activations(source: PackSource, part: Part, shape: Shape, bar: Step) -> None:
    """Write the arrays of features.zarr from the Parquet table."""
    group = part.built / "features.zarr"
    sizes = {
        "indptr": (shape.features + 1, np.int64),
        "indices": (shape.nnz, np.uint32),
        "data": (shape.nnz, np.float32),
    }
    for shard, (length, kind) in zip(SHARDS, sizes.values(), strict=True):
        listed = part.files.get(shard, {"bytes": 0})["bytes"]
        if listed != (shard_bytes(length, np.dtype(kind)) if length else 0):
            raise _not_restored(source, f"store/{NAME}")
    stated = {name: (group / name / "zarr.json").read_bytes() for name in ARRAYS}
    arrays = {name: create_raw(group, name, length, kind) for name, (length, kind) in sizes.items()}
    arrays["indptr"][:] = _fill(source, shape, arrays["indices"], arrays["data"], bar)
    for name, values in arrays.items():
        finish_raw(group, name, values)
        (group / name / "zarr.json").write_bytes(stated[name])
    for shard in SHARDS:
        if shard in part.files and file_sha256(part.built / shard) != part.files[shard]["sha256"]:
            raise _not_restored(source, ACTIVATIONS)


def _fill(source: PackSource, shape: Shape, indices: np.ndarray, data: np.ndarray, bar: Step) -> np.ndarray:
    """Copy samples and values in their order; returns the features' pointers, int64 [features + 1]."""
    place, last, counts = 0, 0, np.zeros(shape.features, np.int64)
    with source.open(ACTIVATIONS) as file:
        table = _read(source, ACTIVATIONS, pq.ParquetFile, file)
        if not table.schema_arrow.remove_metadata().equals(SCHEMA):
            raise _not_restored(source, ACTIVATIONS)
        for number in range(table.num_row_groups):
            if table.metadata.row_group(number).num_rows > BLOCK_NNZ:
                raise _not_restored(source, ACTIVATIONS)
            rows = _read(source, ACTIVATIONS, table.read_row_group, number)
            ids, samples, values = (rows[name].to_numpy() for name in SCHEMA.names)
            if not len(ids):
                continue
            ascends = last <= ids[0] and (ids[1:] >= ids[:-1]).all() and ids[-1] < shape.features
            if not ascends or place + len(ids) > shape.nnz or samples.max() >= shape.samples:
                raise _not_restored(source, ACTIVATIONS)
            indices[place : place + len(ids)], data[place : place + len(ids)] = samples, values
            counts += np.bincount(ids, minlength=shape.features)
            place, last = place + len(ids), int(ids[-1])
            bar.advance(8 * len(ids))
    if place != shape.nnz:
        raise _not_restored(source, ACTIVATIONS)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _read(source: PackSource, name: str, read: Callable[..., Found], *arguments: Any) -> Found:
    """Call a reader of a packed file; what it cannot make sense of is the pack's fault."""
    try:
        return read(*arguments)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PackDamaged(f"File '{name}' of pack '{source.path.name}' cannot be read ({reason}).") from error


def _not_restored(source: PackSource, name: str) -> PackDamaged:
    return PackDamaged(
        f"File '{name}' of pack '{source.path.name}' does not restore what its manifest lists. Ask for the pack again."
    )
