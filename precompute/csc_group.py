"""Write the feature-major csc_matrix group of a store: count, sort span by span, verify, then name it finished."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.errors import StoreDamaged
from precompute.feature_blocks import FeatureBlock, FeatureBlocks
from precompute.feature_sort import Span, are_activations, count_span, sort_span
from precompute.parallel import in_order
from precompute.progress import Step
from precompute.raw import create_group, create_raw, finish_raw, write_raw
from precompute.sample_blocks import SampleBlocks

SUM_TOLERANCE = 1e-9  # relative; float64 sums in another order
FLUSH_SECONDS = 0.2  # between two requests to put on the disk what was written so far


class Plan(NamedTuple):
    """Sizes in activations: what one task holds, and what it sorts at once."""

    span: int
    piece: int


def write_group(store_dir: Path, group: Path, plan: Plan, bar: Step, jobs: int = 1, backend: str = "loky") -> None:
    """Write the batches of `store_dir` as a csc_matrix group, verified; the bytes depend on the activations alone."""
    batches = SampleBlocks.open(store_dir)
    spans = [Span(store_dir, first, last, plan.piece) for first, last in batches.spans(plan.span)]
    counts = []
    for found in in_order(count_span, [(span,) for span in spans], jobs, backend):
        counts.append(found)
        bar.advance(int(found.sum(dtype=np.int64)))
    indptr = np.zeros(batches.features + 1, np.int64)
    for found in counts:
        indptr[1:] += found
    np.cumsum(indptr, out=indptr)
    shape = [batches.samples, batches.features]
    create_group(group, {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": shape})
    indices = create_raw(group, "indices", batches.nnz, np.uint32)
    data = create_raw(group, "data", batches.nnz, np.float32)
    sums = np.zeros(batches.features)
    with _flushing(indices, data) as files:
        if files:
            tasks = [(span, *files, places) for span, places in _places(spans, indptr, counts)]
            for span_sums, found in zip(in_order(sort_span, tasks, jobs, backend), counts, strict=True):
                sums += span_sums
                bar.advance(int(found.sum(dtype=np.int64)))
        _verify(FeatureBlocks(batches.samples, indptr, indices, data), sums, plan.piece, bar)
    write_raw(group, "indptr", indptr)
    finish_raw(group, "indices", indices)
    finish_raw(group, "data", data)


def _places(
    spans: list[Span], indptr: npt.NDArray[np.int64], counts: list[npt.NDArray[np.uint32]]
) -> Iterator[tuple[Span, npt.NDArray[np.int64]]]:
    """With every span, the element from which on each feature's run of it is written [features]."""
    free = indptr[:-1].copy()
    for span, found in zip(spans, counts, strict=True):
        yield span, free.copy()
        free += found


@contextmanager
def _flushing(*arrays: np.ndarray) -> Iterator[list[str]]:
    """The arrays' files (none of an empty store), put on the disk by a thread while others fill and read them."""
    files = [str(array.filename) for array in arrays if isinstance(array, np.memmap)]
    stop = Event()

    def flush() -> None:
        handles = [os.open(file, os.O_RDWR) for file in files]
        try:
            while not stop.wait(FLUSH_SECONDS):
                for handle in handles:
                    os.fdatasync(handle)
        finally:
            for handle in handles:
                os.close(handle)

    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(flush)
        try:
            yield files
        finally:
            stop.set()
        flushed.result()  # a disk that failed says so once, to whoever asked


def _verify(written: FeatureBlocks, sums: npt.NDArray[np.float64], piece: int, bar: Step) -> None:
    """Read back what was written: as many activations as every feature has in the batches (`written.indptr` counts them)
    with the same sum, of samples of this store that ascend."""
    for block in written.blocks(piece):
        agrees = np.allclose(_sums(block), sums[block.first : block.last], rtol=SUM_TOLERANCE, atol=0)
        if not (agrees and are_activations(block.data) and _ascends(block, written.samples, piece)):
            raise StoreDamaged(
                f"The transposed activations of features {block.first} to {block.last - 1} differ from their batches, or"
                " a sample has one of them twice. Check the batches and the disk, and run `loupe transpose` again."
            )
        bar.advance(len(block.data))


def _sums(block: FeatureBlock) -> npt.NDArray[np.float64]:
    fires = np.flatnonzero(np.diff(block.indptr))
    total = np.zeros(block.last - block.first)
    if len(fires):
        total[fires] = np.add.reduceat(block.data, block.indptr[fires], dtype=np.float64)
    return total


def _ascends(block: FeatureBlock, samples: int, most: int) -> bool:
    """Whether samples ascend but where the next feature begins, all below `samples`; looks at `most` of them at once."""
    for start in range(0, len(block.indices), most):
        part = block.indices[start : start + most + 1]
        drops = np.flatnonzero(part[1:] <= part[:-1]) + start + 1
        if part.max() >= samples or (block.indptr[np.searchsorted(block.indptr, drops)] != drops).any():
            return False
    return True
