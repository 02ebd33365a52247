"""Write tables as the readers want them: cast to their schema, under a temporary name, then renamed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.schema import GROUPED_TABLES, PARQUET_TABLES
from loaders.tables import table_files


def write_parquet(store_dir: Path, name: str, table: pa.Table) -> Path:
    """Write a table with one row per feature (or per token), in the order of its first column; return its path."""
    table = table.cast(PARQUET_TABLES[name]).sort_by(PARQUET_TABLES[name].names[0])
    path = _prepare(store_dir, table_files(name)[0])
    temporary = path.with_name(path.name + ".tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
    return path


def write_grouped(store_dir: Path, name: str, table: pa.Table, features: int) -> Path:
    """Write a table with several rows per feature as one uncompressed Arrow record batch, which maps without a copy,
    and its offsets int64 [features + 1]; return the path of the former.

    `table` is sorted by feature_id; metadata of its schema is kept. Raises ValueError when it is not sorted.
    """
    table = table.cast(GROUPED_TABLES[name].with_metadata(table.schema.metadata)).combine_chunks()
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


def _prepare(store_dir: Path, file: str) -> Path:
    path = store_dir / file
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
