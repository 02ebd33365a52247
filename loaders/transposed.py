"""The backend for a dense array: reads one row of `transposed.zarr` and finds where it is not zero."""

from pathlib import Path
from typing import Any

import numpy as np

from loaders.errors import BadInput, FeatureNotFound, StoreDamaged
from loaders.protocol import FeatureActivations


class TransposedLoader:
    """Reads `transposed.zarr`, a float32 Zarr array [features, samples]; needs the package `zarr`."""

    def __init__(self, store_dir: Path) -> None:
        self._path = store_dir / "transposed.zarr"
        if not self.is_available:
            return
        self._array = _open(self._path)
        if self._array.ndim != 2 or self._array.dtype != np.float32:
            raise StoreDamaged(
                f"'{self._path}' holds {self._array.dtype} of shape {self._array.shape}; wanted float32"
                " [features, samples]. Run `loupe transpose --dense` again."
            )
        self.features, self.samples = (int(n) for n in self._array.shape)
        self._stores_zeros = "source" in self._array.attrs  # what Loupe wrote has a file for every row

    @property
    def is_available(self) -> bool:
        return any((self._path / name).exists() for name in ("zarr.json", ".zarray"))

    def load(self, feature_id: int) -> FeatureActivations:
        """Raises StoreDamaged where the row's file is missing, torn or altered, or holds what is no number."""
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        if self._stores_zeros and not self._file(feature_id).exists():
            raise StoreDamaged(
                f"File '{self._file(feature_id)}' of feature {feature_id} is missing. Run `loupe transpose --dense` again."
            )
        try:
            row = np.asarray(self._array[feature_id])
        except Exception as error:  # decompressors and checksums raise whatever they like
            raise StoreDamaged(
                f"Feature {feature_id} of '{self._path}' cannot be read ({error}). Run `loupe transpose --dense` again."
            ) from error
        if not np.isfinite(row).all():
            raise StoreDamaged(f"Feature {feature_id} of '{self._path}' holds NaN or infinity. Write the array again.")
        indices = np.flatnonzero(row)
        return FeatureActivations(indices.astype(np.uint32), row[indices])

    def _file(self, feature_id: int) -> Path:
        rows = (self._array.shards or self._array.chunks)[0]
        return self._path / self._array.metadata.encode_chunk_key((feature_id // rows, 0))


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError as error:
        raise BadInput(f"Reading '{path}' needs the package zarr, which is not installed: pip install zarr.") from error
    try:
        return zarr.open_array(path, mode="r")
    except Exception as error:  # broken metadata fails in many ways
        raise StoreDamaged(
            f"'{path}' is not a Zarr array that can be opened ({error}). Run `loupe transpose --dense` again."
        ) from error
