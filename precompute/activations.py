"""Read captured model activations: shards of rows, float16 or float32, one row per sample, memory-mapped."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loaders.errors import BadInput, StoreDamaged, StoreNotFound


class Activations:
    """The activations of one model at one hook point over one dataset; row i belongs to the dataset's sample i."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.rows: int = manifest["rows"]
        self.width: int = manifest["width"]
        self._starts = [shard["start"] for shard in manifest["shards"]]

    @classmethod
    def open(cls, directory: Path | str) -> "Activations":
        """Open a finished directory; raises StoreNotFound without a manifest, StoreDamaged when a shard is not whole."""
        path = Path(directory)
        manifest_path = path / "manifest.json"
        if not manifest_path.is_file():
            raise StoreNotFound(f"No finished activations at '{path}': manifest.json is missing. Run `loupe capture`.")
        activations = cls(path, json.loads(manifest_path.read_text(encoding="utf-8")))
        for shard, array in zip(activations.manifest["shards"], activations._shards, strict=True):
            expected = (shard["rows"], activations.width)
            if array.shape != expected:
                raise StoreDamaged(
                    f"Shard '{path / shard['file']}' has the shape {array.shape}; the manifest lists {expected}."
                    " Delete the directory and run `loupe capture` again."
                )
        return activations

    @cached_property
    def _shards(self) -> list[npt.NDArray[np.floating]]:
        return [self._map(shard["file"]) for shard in self.manifest["shards"]]

    def _map(self, file: str) -> npt.NDArray[np.floating]:
        try:
            return np.load(self.path / file, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise StoreDamaged(
                f"Shard '{self.path / file}' cannot be read ({error}). Delete the directory and run `loupe capture` again."
            ) from error

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Rows start..stop as float32 [stop - start, width]; raises BadInput outside of 0..rows."""
        return self._fill(start, stop, np.empty((max(stop - start, 0), self.width), dtype=np.float32))

    def load(self) -> npt.NDArray[np.floating]:
        """All rows [rows, width] in the numbers that they are kept in: the memory map of a single shard, else a copy."""
        if len(self._shards) == 1:
            return self._shards[0]
        return self._fill(0, self.rows, np.empty((self.rows, self.width), dtype=self._shards[0].dtype))

    def take(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """The given rows, in the given order, as float32 [n, width]; raises BadInput outside of 0..rows."""
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < self.rows:
            raise BadInput(f"Rows {rows.min()} to {rows.max()} wanted; '{self.path}' holds rows 0 to {self.rows - 1}.")
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(shard_of):
            inside = np.flatnonzero(shard_of == number)
            taken[inside] = self._shards[number][rows[inside] - self._starts[number]]
        return taken

    def batches(self, size: int) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield (first row, float32 rows [<= size, width]) over everything, in order."""
        for start in range(0, self.rows, size):
            yield start, self.read(start, min(start + size, self.rows))

    def _fill(self, start: int, stop: int, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not 0 <= start <= stop <= self.rows:
            raise BadInput(f"Rows {start} to {stop} wanted; '{self.path}' holds rows 0 to {self.rows}.")
        position = start
        while position < stop:
            number = bisect_right(self._starts, position) - 1
            first = position - self._starts[number]
            block = self._shards[number][first : first + stop - position]
            out[position - start : position - start + len(block)] = block
            position += len(block)
        return out
