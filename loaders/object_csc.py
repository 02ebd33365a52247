"""Feature-major arrays in an object store: one feature is two range requests, sent together."""

import json
from pathlib import Path

import numpy as np

from loaders.errors import FeatureNotFound, SourceUnavailable, StoreDamaged
from loaders.mirror import POINTER, connect
from loaders.protocol import FeatureActivations
from loaders.raw import open_raw

ARRAYS = ("indices", "data")
ITEM = 4  # bytes of an index and of an activation


class ObjectCscLoader:
    """Reads `features.zarr` of the store that `objects.json` points to; only `indptr` [features + 1] is held here."""

    def __init__(self, store_dir: Path) -> None:
        self._pointer = store_dir / POINTER
        if not self.is_available:
            return
        try:
            self._url = str(json.loads(self._pointer.read_text())["url"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(
                f"'{self._pointer}' names no url ({error}). Delete it and open the store again."
            ) from error
        self._files, path = connect(self._url)
        self._paths = [f"{path}/features.zarr/{name}/c/0" for name in ARRAYS]
        self._indptr = np.asarray(open_raw(store_dir / "features.zarr" / "indptr"))
        self.features = len(self._indptr) - 1

    @property
    def is_available(self) -> bool:
        return self._pointer.exists()

    def load(self, feature_id: int) -> FeatureActivations:
        """Raises SourceUnavailable when the object store does not answer with all of the bytes."""
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features)
        start, stop = self._indptr.item(feature_id), self._indptr.item(feature_id + 1)
        if start == stop:
            return FeatureActivations(np.empty(0, np.uint32), np.empty(0, np.float32))
        try:
            parts = self._files.cat_ranges(self._paths, [start * ITEM] * 2, [stop * ITEM] * 2, on_error="raise")
        except Exception as error:  # whatever the file system's package raises
            raise SourceUnavailable(f"'{self._url}' cannot be read ({error}). Try again.") from error
        if any(len(part) != (stop - start) * ITEM for part in parts):
            raise SourceUnavailable(f"'{self._url}' sent fewer bytes than asked for. Try again, or copy it again.")
        return FeatureActivations(np.frombuffer(parts[0], "<u4"), np.frombuffer(parts[1], "<f4"))
