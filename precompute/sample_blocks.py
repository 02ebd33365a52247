"""The row-major batches of a store: written one by one, read as sparse row blocks (samples x features) of bounded size."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from loaders.errors import StoreDamaged, StoreNotFound
from loaders.raw import open_group_attributes, open_raw
from precompute.raw import create_group, write_raw

BLOCK_NNZ = 1 << 20  # non-zeros read at once: about 8 MiB as they lie, 25 MiB as float64 CSR


def write_batch(path: Path, rows: sp.csr_array, attributes: dict[str, object]) -> None:
    """Write one CSR group (AnnData's csr_matrix encoding; indptr i64, indices u32, data f32) under a temporary name, then
    rename it; `attributes` are added to the encoding's own."""
    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    encoding = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [int(n) for n in rows.shape]}
    create_group(temporary, encoding | attributes)
    write_raw(temporary, "indptr", rows.indptr.astype(np.int64))
    write_raw(temporary, "indices", rows.indices.astype(np.uint32))
    write_raw(temporary, "data", rows.data.astype(np.float32))
    temporary.rename(path)


class Batch(NamedTuple):
    """Memory maps of one CSR group; its first row is sample `start` of the store."""

    start: int
    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.integer]
    data: npt.NDArray[np.float32]


class SampleBlocks:
    """All batches of one store in sample order; `samples`, `features` and `nnz` are their totals."""

    def __init__(self, batches: list[Batch], features: int) -> None:
        self._batches = batches
        self.features = features
        self.samples = batches[-1].start + len(batches[-1].indptr) - 1
        self.nnz = sum(len(batch.data) for batch in batches)

    @classmethod
    def open(cls, store_dir: Path) -> "SampleBlocks":
        """Raises StoreNotFound without batches, StoreDamaged when their arrays contradict each other."""
        paths = sorted((store_dir / "activations").glob("batch_*.zarr"))
        if not paths:
            raise StoreNotFound(
                f"Store '{store_dir.name}' has no batches of activations (not harvested yet, removed by `loupe gc --batches`, or"
                " unpacked without them). Run `loupe harvest`."
            )
        batches: list[Batch] = []
        widths, start = set(), 0
        for path in paths:
            samples, features = (int(n) for n in open_group_attributes(path)["shape"])  # type: ignore[attr-defined]
            batch = Batch(start, *(open_raw(path / name) for name in ("indptr", "indices", "data")))
            lengths = (len(batch.indptr), len(batch.indices), len(batch.data))
            nnz = int(batch.indptr[-1]) if len(batch.indptr) else -1
            if lengths != (samples + 1, nnz, nnz):
                raise StoreDamaged(
                    f"Batch '{path.name}' of '{store_dir.name}' has arrays of {lengths} values for {samples} samples and"
                    f" {nnz} activations. Delete it and run `loupe harvest` again."
                )
            batches.append(batch)
            widths.add(features)
            start += samples
        if len(widths) > 1:
            raise StoreDamaged(
                f"The batches of '{store_dir.name}' have different numbers of features: {sorted(widths)}."
                " Delete them and run `loupe harvest` again."
            )
        return cls(batches, widths.pop())

    def spans(self, nnz: int) -> list[tuple[int, int]]:
        """Cut all samples into ranges first..last of at most `nnz` non-zeros (or one sample), whatever the batches."""
        cuts, room = [0], nnz
        for batch in self._batches:
            row, rows = 0, len(batch.indptr) - 1
            while row < rows:
                reach = int(np.searchsorted(batch.indptr, batch.indptr[row] + room, side="right")) - 1
                if reach <= row and batch.start + row > cuts[-1]:
                    cuts.append(batch.start + row)
                    room = nnz
                    continue
                last = min(max(reach, row + 1), rows)
                room -= int(batch.indptr[last] - batch.indptr[row])
                row = last
        cuts.append(self.samples)
        return list(zip(cuts[:-1], cuts[1:], strict=True))

    def blocks(
        self, nnz: int = BLOCK_NNZ, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[int, sp.csr_array]]:
        """Yield (first sample, rows) of samples first..last in order, each with at most `nnz` non-zeros (or one row) and
        within one batch; raises StoreDamaged for rows that are no rows."""
        for batch, start, stop in self._ranges(nnz, first, last):
            yield batch.start + start, self._rows(batch, start, stop)

    def feature_ids(self, nnz: int, first: int, last: int) -> Iterator[npt.NDArray[np.integer]]:
        """Yield the features of all non-zeros of samples first..last in order, not copied, in the same blocks."""
        for batch, start, stop in self._ranges(nnz, first, last):
            yield batch.indices[int(batch.indptr[start]) : int(batch.indptr[stop])]

    def _ranges(self, nnz: int, first: int, last: int | None) -> Iterator[tuple[Batch, int, int]]:
        final = self.samples if last is None else last
        for batch in self._batches:
            rows = min(len(batch.indptr) - 1, final - batch.start)
            start = max(first - batch.start, 0)
            while start < rows:
                reach = int(np.searchsorted(batch.indptr, batch.indptr[start] + nnz, side="right")) - 1
                stop = min(max(reach, start + 1), rows)
                yield batch, start, stop
                start = stop

    def _rows(self, batch: Batch, first: int, last: int) -> sp.csr_array:
        start, stop = int(batch.indptr[first]), int(batch.indptr[last])
        pointers = batch.indptr[first : last + 1] - start
        if not 0 <= start <= stop <= len(batch.data) or (np.diff(pointers) < 0).any():
            raise StoreDamaged(
                f"The batch with sample {batch.start + first} has row pointers that do not ascend within its"
                f" {len(batch.data):,} activations. Delete the batches and make them again."
            )
        indices = batch.indices[start:stop].astype(np.int32)
        parts = (np.array(batch.data[start:stop]), indices, pointers.astype(np.int32))
        return sp.csr_array(parts, shape=(last - first, self.features))

    def take(self, samples: npt.NDArray[np.int64]) -> sp.csr_array:
        """The given samples in the given order, as one sparse block [len(samples), features]."""
        of_batch = np.searchsorted([batch.start for batch in self._batches], samples, side="right") - 1
        counts = np.zeros(len(samples), np.int64)
        for number in np.unique(of_batch):
            batch, here = self._batches[number], np.flatnonzero(of_batch == number)
            rows = samples[here] - batch.start
            counts[here] = batch.indptr[rows + 1] - batch.indptr[rows]
        pointers = np.concatenate([[0], np.cumsum(counts)])
        indices, data = np.empty(pointers[-1], np.int32), np.empty(pointers[-1], np.float32)
        for number in np.unique(of_batch):
            batch, here = self._batches[number], np.flatnonzero(of_batch == number)
            length = counts[here]
            within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
            source = np.repeat(batch.indptr[samples[here] - batch.start], length) + within
            target = np.repeat(pointers[here], length) + within
            indices[target], data[target] = batch.indices[source], batch.data[source]
        return sp.csr_array((data, indices, pointers.astype(np.int32)), shape=(len(samples), self.features))
