"""Publish a store: list every file with size and sha256 in a manifest that is swapped in atomically, last."""

import hashlib
import json
import os
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loaders.manifest import NAME, file_sha256, is_published, read_manifest
from loaders.schema import PARQUET_TABLES, SCHEMA_VERSION
from loaders.tables import GroupedTable, has_table, table_files

PACKAGES = ("numpy", "pyarrow", "zarr", "torch", "transformers")


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write JSON under a temporary name, flush it to the disk and rename it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def list_files(directory: Path, known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every finished file below `directory` with bytes, sha256 and mtime; hashes of unchanged `known` files are kept."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or name == NAME or ".tmp" in name:
            continue
        status = path.stat()
        old = known.get(name)
        if old and (old["bytes"], old["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
            files[name] = old
        else:
            files[name] = {"bytes": status.st_size, "sha256": file_sha256(path), "mtime_ns": status.st_mtime_ns}
    return files


def combined_sha256(files: dict[str, dict[str, Any]]) -> str:
    """One fingerprint of many files: sha256 over their sorted names and hashes."""
    lines = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def publish(store_dir: Path, fields: dict[str, Any] | None, tables: list[str]) -> dict[str, Any]:
    """Write the next generation of the manifest and return it.

    The first generation needs `fields` (shapes, ids, fingerprints of model, SAE and dataset, quality, seed);
    later ones only name the `tables` that were added. The store's fingerprint covers the core files.
    """
    old = read_manifest(store_dir, "store") if is_published(store_dir) else None
    files = list_files(store_dir, old["files"] if old else {})
    core = {name: files[name] for name in files if not name.startswith("tables/") or "stats" in name}
    present = {**(old["tables"] if old else {}), **{name: {"rows": _rows(store_dir, name)} for name in tables}}
    manifest = {
        **(old or {}),
        **(fields or {}),
        "schema_version": SCHEMA_VERSION,
        "kind": "store",
        "id": store_dir.name,
        "generation": (old["generation"] if old else 0) + 1,
        "created_at": old["created_at"] if old else datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in PACKAGES},
        "command": " ".join(["loupe", *sys.argv[1:]]),
        "tables": present,
        "files": files,
    }
    manifest["fingerprints"] = {**manifest["fingerprints"], "store": combined_sha256(core)}
    write_json(store_dir / NAME, manifest)
    return manifest


def _rows(store_dir: Path, name: str) -> int:
    if not has_table(store_dir, name):
        raise FileNotFoundError(f"Table '{name}' is to be published but {table_files(name)} are not all there.")
    if name in PARQUET_TABLES:
        return int(pq.read_metadata(store_dir / table_files(name)[0]).num_rows)
    return int(GroupedTable(store_dir, name).read_all().num_rows)
