"""The feature-major activations of a store, read as blocks of whole features of bounded size."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.errors import StoreDamaged, StoreNotFound
from loaders.raw import open_group_attributes, open_raw

BLOCK_NNZ = 1 << 20


class FeatureBlock(NamedTuple):
    """Features first..last: `indptr` int64 [last - first + 1] starts at 0; `indices` are samples, `data` activations [nnz]."""

    first: int
    last: int
    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.integer]
    data: npt.NDArray[np.float32]


class FeatureBlocks:
    """Memory maps of a CSC group; `samples`, `features` and `nnz` are its shape."""

    def __init__(self, group: Path) -> None:
        attributes = open_group_attributes(group)
        self.samples, self.features = (int(n) for n in attributes["shape"])  # type: ignore[attr-defined]
        self._indptr, self._indices, self._data = (open_raw(group / name) for name in ("indptr", "indices", "data"))
        self.nnz = len(self._data)
        if len(self._indptr) != self.features + 1 or {int(self._indptr[-1]), len(self._indices)} != {self.nnz}:
            raise StoreDamaged(f"'{group}' is not a consistent csc_matrix group. Delete it and run `loupe transpose`.")

    @classmethod
    def open(cls, store_dir: Path) -> "FeatureBlocks":
        """Raises StoreNotFound before the transposition, StoreDamaged for inconsistent arrays."""
        group = store_dir / "features.zarr"
        if not group.exists():
            raise StoreNotFound(f"Store '{store_dir.name}' has no features.zarr yet. Run `loupe transpose`.")
        return cls(group)

    def blocks(self, nnz: int = BLOCK_NNZ) -> Iterator[FeatureBlock]:
        """Yield all features in order: whole features, at most `nnz` non-zeros (or one feature) at once."""
        first = 0
        while first < self.features:
            reach = int(np.searchsorted(self._indptr, self._indptr[first] + nnz, side="right")) - 1
            last = min(max(reach, first + 1), self.features)
            start, stop = int(self._indptr[first]), int(self._indptr[last])
            pointers = self._indptr[first : last + 1] - start
            yield FeatureBlock(first, last, pointers, self._indices[start:stop], self._data[start:stop])
            first = last
