"""The feature-major activations of a store, read as blocks of whole features of bounded size."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c
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
    """CSC arrays, memory-mapped as a rule; `samples`, `features` and `nnz` are their shape."""

    def __init__(
        self,
        samples: int,
        indptr: npt.NDArray[np.int64],
        indices: npt.NDArray[np.integer],
        data: npt.NDArray[np.float32],
    ) -> None:
        self.samples, self.features, self.nnz = samples, len(indptr) - 1, len(data)
        self.indptr, self._indices, self._data = indptr, indices, data

    @classmethod
    def open(cls, store_dir: Path) -> "FeatureBlocks":
        """Raises StoreNotFound before the transposition, StoreDamaged for inconsistent arrays."""
        group = store_dir / "features.zarr"
        if not group.exists():
            raise StoreNotFound(f"Store '{store_dir.name}' has no features.zarr yet. Run `loupe transpose`.")
        try:
            samples, features = (int(n) for n in open_group_attributes(group)["shape"])  # type: ignore[attr-defined]
        except (KeyError, TypeError, ValueError) as error:
            raise StoreDamaged(f"'{group}' states no shape. Delete it and run `loupe transpose`.") from error
        indptr, indices, data = (open_raw(group / name) for name in ("indptr", "indices", "data"))
        if (
            len(indptr) != features + 1
            or indptr[0] != 0
            or {int(indptr[-1]), len(indices)} != {len(data)}
            or (np.diff(indptr) < 0).any()
        ):
            raise StoreDamaged(f"'{group}' is not a consistent csc_matrix group. Delete it and run `loupe transpose`.")
        return cls(samples, indptr, indices, data)

    def blocks(self, nnz: int = BLOCK_NNZ, first: int = 0, last: int | None = None) -> Iterator[FeatureBlock]:
        """Yield features first..last in order: whole features, at most `nnz` non-zeros (or one feature) at once."""
        final = self.features if last is None else last
        while first < final:
            reach = int(np.searchsorted(self.indptr, self.indptr[first] + nnz, side="right")) - 1
            until = min(max(reach, first + 1), final)
            start, stop = int(self.indptr[first]), int(self.indptr[until])
            pointers = self.indptr[first : until + 1] - start
            yield FeatureBlock(first, until, pointers, self._indices[start:stop], self._data[start:stop])
            first = until

    def fingerprint(self) -> str:
        """Hex sha256 over the shape, the pointers and the CRC-32C of indices and data: ties a derived layout to these
        arrays at the speed of reading them."""
        digest = hashlib.sha256(f"{self.samples} {self.features} {self.nnz} ".encode())
        digest.update(self.indptr.tobytes())
        for values in (self._indices, self._data):
            checksum = 0
            for start in range(0, self.nnz, BLOCK_NNZ):
                checksum = google_crc32c.extend(checksum, values[start : start + BLOCK_NNZ].tobytes())
            digest.update(checksum.to_bytes(4, "little"))
        return digest.hexdigest()
