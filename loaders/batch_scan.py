"""The backend before any transposition: scans the row-major batches, O(all non-zeros) for one feature."""

from pathlib import Path

import numpy as np

from loaders.errors import FeatureNotFound
from loaders.protocol import FeatureActivations
from loaders.raw import open_group_attributes, open_raw


class BatchScanLoader:
    """Reads `activations/batch_*.zarr`: CSR groups of consecutive samples."""

    def __init__(self, store_dir: Path) -> None:
        self._batches = sorted((store_dir / "activations").glob("batch_*.zarr"))
        if self._batches:
            self.features = int(open_group_attributes(self._batches[0])["shape"][1])  # type: ignore[index]

    @property
    def is_available(self) -> bool:
        return bool(self._batches)

    def load(self, feature_id: int) -> FeatureActivations:
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        rows, values, start = [], [], 0
        for batch in self._batches:
            indptr = open_raw(batch / "indptr")
            hits = np.flatnonzero(open_raw(batch / "indices") == feature_id)
            rows.append(start + np.searchsorted(indptr, hits, side="right") - 1)
            values.append(open_raw(batch / "data")[hits])
            start += len(indptr) - 1
        return FeatureActivations(np.concatenate(rows).astype(np.uint32), np.concatenate(values).astype(np.float32))
