"""Metadata frames: Parquet or CSV with one row per sample, read in batches of rows."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from loaders.errors import BadInput
from precompute.sources.part import unreadable


class Frame:
    """`columns` in the file's order and the number of `rows`; CSV values stay the strings that they are."""

    def __init__(self, path: Path | str) -> None:
        """Raises BadInput for a file that is not there, of another kind, or malformed anywhere."""
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise BadInput(f"There is no metadata frame '{path}'. Check the path.")
        if self.path.suffix not in (".parquet", ".csv"):
            raise BadInput(f"'{path}' is no metadata frame: wanted a .parquet or .csv file. Convert it.")
        try:
            self.columns = self._names()
        except (pa.ArrowInvalid, OSError) as error:
            raise unreadable(self.path, self.path.suffix[1:], error) from error
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise BadInput(f"'{path}' has several columns '{min(repeated)}'. Give each column a name of its own.")
        is_parquet = self.path.suffix == ".parquet"
        self.rows: int = pq.read_metadata(self.path).num_rows if is_parquet else sum(map(len, self._batches([])))

    def column(self, name: str) -> pa.Array:
        """One column as strings."""
        parts = [batch.column(0).cast(pa.string()) for batch in self._batches([name])]
        return pa.concat_arrays(parts) if parts else pa.array([], pa.string())

    def values(self) -> Iterator[tuple[Any, ...]]:
        """Every row, values in the order of `columns`; None where one is missing."""
        for batch in self._batches(self.columns):
            for row in zip(*batch.to_pydict().values(), strict=True):
                yield tuple(None if isinstance(value, float) and math.isnan(value) else value for value in row)

    def _names(self) -> list[str]:
        if self.path.suffix == ".parquet":
            return list(pq.read_schema(self.path).names)
        with self._csv({}) as reader:
            return list(reader.schema.names)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            if self.path.suffix == ".parquet":
                yield from pq.ParquetFile(self.path).iter_batches(columns=columns)
                return
            with self._csv(dict.fromkeys(self.columns, pa.string())) as reader:
                for batch in reader:
                    yield batch.select(columns) if columns else batch
        except (pa.ArrowInvalid, OSError) as error:
            raise unreadable(self.path, self.path.suffix[1:], error) from error

    def _csv(self, types: dict[str, pa.DataType]) -> pc.CSVStreamingReader:
        return pc.open_csv(
            self.path,
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""]),
        )
