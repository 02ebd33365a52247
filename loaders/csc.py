"""The default backend: feature-major CSC arrays, memory-mapped, so one feature is two slices."""

from pathlib import Path

import numpy as np

from loaders.errors import FeatureNotFound, StoreDamaged
from loaders.protocol import FeatureActivations
from loaders.raw import open_group_attributes, open_raw


class CscLoader:
    """Reads `features.zarr`: indptr i64 [features + 1], indices u32 [nnz], data f32 [nnz]."""

    def __init__(self, store_dir: Path) -> None:
        self._group = store_dir / "features.zarr"
        if not self.is_available:
            return
        attributes = open_group_attributes(self._group)
        self._indptr = np.asarray(open_raw(self._group / "indptr"))
        self._indices = np.asarray(open_raw(self._group / "indices"))
        self._data = np.asarray(open_raw(self._group / "data"))
        self.features = len(self._indptr) - 1
        nnz = len(self._data)
        is_ordered = self._indptr[0] == 0 and self._indptr[-1] == nnz and bool((np.diff(self._indptr) >= 0).all())
        if attributes.get("encoding-type") != "csc_matrix" or len(self._indices) != nnz or not is_ordered:
            raise StoreDamaged(f"'{self._group}' is not a consistent csc_matrix group. Run `loupe transpose` again.")

    @property
    def is_available(self) -> bool:
        return (self._group / "zarr.json").exists()

    def load(self, feature_id: int) -> FeatureActivations:
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        start, stop = self._indptr.item(feature_id), self._indptr.item(feature_id + 1)
        return FeatureActivations(self._indices[start:stop], self._data[start:stop])
