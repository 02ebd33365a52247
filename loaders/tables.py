"""Read a store's tables: Parquet with one row per feature, or feature-sorted Arrow IPC that is memory-mapped."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loaders.errors import FeatureNotFound, StoreDamaged, TableMissing
from loaders.schema import GROUPED_TABLES, PARQUET_TABLES


def table_files(name: str) -> list[str]:
    """Files of a table, relative to the store."""
    if name in PARQUET_TABLES:
        return [f"tables/{name}.parquet"]
    return [f"tables/{name}.arrow", f"tables/{name}.offsets.npy"]


def has_table(store_dir: Path, name: str) -> bool:
    return all((store_dir / file).exists() for file in table_files(name))


def read_parquet_table(store_dir: Path, name: str) -> pa.Table:
    """Read a whole one-row-per-feature (or per-token) table; raises TableMissing when it is not there yet."""
    path = store_dir / f"tables/{name}.parquet"
    if not path.exists():
        raise TableMissing(store_dir.name, name)
    try:
        return pq.read_table(path, schema=PARQUET_TABLES[name])
    except pa.ArrowInvalid as error:
        raise damaged_table(store_dir, name, error) from error


def damaged_table(store_dir: Path, name: str, error: Exception) -> StoreDamaged:
    """The sentence for a table that is there but cannot be read."""
    reason = str(error).splitlines()[0]
    return StoreDamaged(
        f"Table '{name}' of '{store_dir.name}' cannot be read ({reason}). Delete it and run `loupe {name}`."
    )


class GroupedTable:
    """Rows of any feature in O(1): `offsets` i64 [features + 1] into one memory-mapped record batch."""

    def __init__(self, store_dir: Path, name: str) -> None:
        if name not in GROUPED_TABLES or not has_table(store_dir, name):
            raise TableMissing(store_dir.name, name)
        try:
            self._offsets = np.load(store_dir / f"tables/{name}.offsets.npy", mmap_mode="r")
            self._table = pa.ipc.open_file(pa.memory_map(str(store_dir / f"tables/{name}.arrow"))).read_all()
        except (pa.ArrowInvalid, ValueError) as error:
            raise damaged_table(store_dir, name, error) from error
        self.features = len(self._offsets) - 1

    @property
    def metadata(self) -> dict[str, str]:
        """Key-value metadata of the Arrow schema."""
        return {key.decode(): value.decode() for key, value in (self._table.schema.metadata or {}).items()}

    def rows(self, feature_id: int) -> pa.Table:
        """Zero-copy slice with the feature's rows; raises FeatureNotFound."""
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        start, stop = int(self._offsets[feature_id]), int(self._offsets[feature_id + 1])
        return self._table.slice(start, stop - start)

    def read_all(self) -> pa.Table:
        """All rows, still memory-mapped."""
        return self._table
