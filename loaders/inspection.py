"""What a store holds: shapes, sizes by part, tables and their settings, fingerprints, loaders, and what is wrong with it.

Works on a damaged store as far as possible: what cannot be read is a fault in the report, never an error.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loaders import backends
from loaders.errors import LoupeError, StoreNotFound
from loaders.faults import Advance, Fault, place_of, read_leniently, store_faults
from loaders.manifest import NAME
from loaders.usage import is_leftover, store_bytes

DESCRIBED = (
    *("schema_version", "generation", "created_at", "command", "versions", "granularity", "sae", "dataset", "model"),
    *("hook", "set", "layer_index", "samples", "features", "nnz", "fingerprints", "quality"),
)


def inspect_store(directory: Path, verify: bool = False, advance: Advance = lambda size: None) -> dict[str, Any]:
    """Report on the store at `<workspace>/stores/<id>`; the keys are always the same, None where a fault hides the value.

    `verify` and `advance` as in `store_faults`. Raises StoreNotFound where there is no such directory.
    """
    if not directory.is_dir():
        raise StoreNotFound(
            f"There is no store at '{directory}'. Name a store's directory, or its id with --workspace."
        )
    manifest, _ = read_leniently(directory, "store")
    faults = store_faults(directory, verify, advance)
    sizes = store_bytes(directory)
    tables, unreadable = _tables(directory, sizes["tables"])
    known = {fault.file for fault in faults}
    faults += [fault for fault in unreadable if fault.file not in known]
    return {
        "id": directory.name,
        **{key: manifest.get(key) for key in DESCRIBED},
        "density": _density(manifest),
        "bytes": sizes,
        "tables": tables,
        "loaders": [name for name in backends.names() if _serves(directory, name)],
        "unlisted": [name for name in _on_disk(directory) if name not in manifest["files"]] if manifest else [],
        "verified": verify,
        "faults": [fault._asdict() for fault in faults],
    }


def _tables(directory: Path, sizes: dict[str, int]) -> tuple[dict[str, Any], list[Fault]]:
    """Rows, bytes and settings of each table on the disk."""
    found: dict[str, Any] = {}
    faults = []
    for name, size in sizes.items():
        found[name] = {"rows": None, "bytes": size, "settings": None}
        there = [path for path in (f"tables/{name}.parquet", f"tables/{name}.arrow") if (directory / path).exists()]
        if not there:  # being written, or missing, which the manifest tells
            continue
        try:
            rows, metadata = _read_table(directory / there[0])
            found[name].update(rows=rows, settings=json.loads(metadata.get(b"settings", b"null")))
        except (OSError, pa.ArrowException, ValueError) as error:
            faults.append(Fault(place_of(directory, there[0]), f"cannot be read ({str(error).splitlines()[0]})"))
    return found, faults


def _read_table(path: Path) -> tuple[int, dict[bytes, bytes]]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows, file.schema_arrow.metadata or {}
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        rows = sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))
        return rows, reader.schema.metadata or {}


def _serves(directory: Path, name: str) -> bool:
    try:
        backends.open_loader(directory, name)
    except (LoupeError, OSError, LookupError, ValueError, TypeError):
        return False
    return True


def _density(manifest: dict[str, Any]) -> float | None:
    sizes = [manifest.get(key) for key in ("nnz", "samples", "features")]
    if not all(isinstance(size, int) for size in sizes) or not sizes[1] or not sizes[2]:
        return None
    return sizes[0] / (sizes[1] * sizes[2])


def _on_disk(directory: Path) -> Iterator[str]:
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name != NAME and not is_leftover(path, directory):
            yield name
