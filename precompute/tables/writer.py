"""Write tables as the readers want them: cast to their schema, under a temporary name, then renamed.

A table's file states the settings it was made with, so that asking for others is refused and not silently ignored.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import BadInput
from loaders.schema import GROUPED_TABLES, PARQUET_TABLES
from loaders.tables import damaged_table, has_table, table_files

SETTINGS = b"settings"
NOT_SETTINGS = {"store", "model", "jobs", "backend"}  # it belongs to the first two, and does not depend on the others


def settings(config: Any) -> dict[str, Any]:
    """The fields of a step's config that decide what its table holds."""
    return {name: value for name, value in asdict(config).items() if name not in NOT_SETTINGS}


def kept_table(store_dir: Path, name: str, config: Any) -> Path | None:
    """Path of the finished table, or None when it must be made; raises BadInput when it was made with other settings."""
    if not has_table(store_dir, name):
        return None
    path = store_dir / table_files(name)[0]
    try:
        schema = (
            pq.read_schema(path) if path.suffix == ".parquet" else pa.ipc.open_file(pa.memory_map(str(path))).schema
        )
    except pa.ArrowInvalid as error:
        raise damaged_table(store_dir, name, error) from error
    made = json.loads((schema.metadata or {}).get(SETTINGS, b"{}"))
    asked = settings(config)
    if differing := [key for key in made if key in asked and made[key] != asked[key]]:
        words = " and ".join(f"{key} {made[key]!r} instead of {asked[key]!r}" for key in differing)
        raise BadInput(
            f"Table '{name}' of '{store_dir.name}' was made with {words}. Keep those settings, or delete '{path}' to make"
            " it anew."
        )
    return path


def write_parquet(store_dir: Path, name: str, table: pa.Table, config: Any) -> Path:
    """Write a table with one row per feature (or per token), in the order of its first column; return its path."""
    table = table.cast(PARQUET_TABLES[name]).sort_by(PARQUET_TABLES[name].names[0])
    table = table.replace_schema_metadata(_stated(config))
    path = _prepare(store_dir, table_files(name)[0])
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
    return path


def write_grouped(store_dir: Path, name: str, table: pa.Table, features: int, config: Any) -> Path:
    """Write a table with several rows per feature as one uncompressed Arrow record batch, which maps without a copy,
    and its offsets int64 [features + 1]; return the path of the former.

    `table` is sorted by feature_id; metadata of its schema is kept. Raises ValueError when it is not sorted.
    """
    schema = GROUPED_TABLES[name].with_metadata({**(table.schema.metadata or {}), **_stated(config)})
    table = table.cast(schema).combine_chunks()
    owners = table["feature_id"].to_numpy().astype(np.int64)
    if (np.diff(owners) < 0).any():
        raise ValueError(f"Table '{name}' must be sorted by feature_id.")
    path, offsets_path = (_prepare(store_dir, file) for file in table_files(name))
    temporary = offsets_path.with_name(offsets_path.name + ".tmp")
    with open(temporary, "wb") as file:
        np.save(file, np.searchsorted(owners, np.arange(features + 1)).astype(np.int64))
    temporary.replace(offsets_path)
    temporary = path.with_name(path.name + ".tmp")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=max(table.num_rows, 1))
    temporary.replace(path)
    return path


def _stated(config: Any) -> dict[bytes, bytes]:
    return {SETTINGS: json.dumps(settings(config), sort_keys=True).encode()}


def _prepare(store_dir: Path, file: str) -> Path:
    path = store_dir / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
