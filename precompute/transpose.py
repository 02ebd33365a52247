"""Turn the row-major batches of a store into feature-major CSC arrays: one streaming pass counts, a second one scatters."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analysis.distributions import owners
from loaders.errors import BadInput, StoreDamaged
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress, Step
from precompute.raw import create_group, create_raw, finish_raw, write_raw
from precompute.sample_blocks import SampleBlocks

BYTES_PER_NNZ = 64  # of working memory while a block is turned, all temporaries included
MOST_SAMPLES = 2**32  # sample indices are stored as uint32
SUM_TOLERANCE = 1e-9  # relative; float64 sums in another order


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    memory_mib: int = 256
    """Working memory in MiB; the output is written through a memory map and does not count."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write `features.zarr` (AnnData csc_matrix encoding: indptr i64, indices u32, data f32) and return its path.

    Raises StoreNotFound without batches, BadInput for an unfinished harvest, for values that are no activations or for
    too many samples, and StoreDamaged when the result does not agree with the batches.
    """
    store_dir = workspace.store_dir(config.store)
    batches = SampleBlocks.open(store_dir)
    target = store_dir / "features.zarr"
    if _is_complete(target, batches):
        return target
    _require_harvested(store_dir, batches)
    if batches.samples >= MOST_SAMPLES:
        raise BadInput(
            f"Store '{config.store}' has {batches.samples:,} samples; a store holds fewer than {MOST_SAMPLES:,}."
        )
    require_space(store_dir, 8 * (batches.nnz + batches.features), f"the transposed activations of '{config.store}'")
    block_nnz = max(config.memory_mib * 2**20 // BYTES_PER_NNZ, 1)
    temporary = target.with_name(target.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with progress.step(f"transpose {config.store}", 3 * batches.nnz, "activations") as bar:
        counts, sums = _count(batches, block_nnz, bar)
        _scatter(batches, counts, temporary, block_nnz, bar)
        _verify(temporary, counts, sums, block_nnz, bar)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
    return target


def _require_harvested(store_dir: Path, batches: SampleBlocks) -> None:
    """Raise BadInput unless `harvest.json`, which is written last, promises as many samples as the batches hold."""
    path = store_dir / "harvest.json"
    wanted = json.loads(path.read_text())["samples"] if path.exists() else None
    if wanted != batches.samples:
        state = "has not finished" if wanted is None else f"wrote {wanted:,} samples"
        raise BadInput(
            f"The batches of '{store_dir.name}' hold {batches.samples:,} samples, but its harvest {state}."
            " Run `loupe harvest` to the end first."
        )


def _is_complete(target: Path, batches: SampleBlocks) -> bool:
    if not target.exists():
        return False
    try:
        found = FeatureBlocks(target)
    except StoreDamaged:  # made anew
        return False
    return (found.samples, found.features, found.nnz) == (batches.samples, batches.features, batches.nnz)


def _count(batches: SampleBlocks, block_nnz: int, bar: Step) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Count and float64 sum of every feature [features]; refuses what is not a positive finite activation."""
    counts, sums = np.zeros(batches.features, np.int64), np.zeros(batches.features)
    for start, rows in batches.blocks(block_nnz):
        wrong = np.flatnonzero(~((rows.data > 0) & np.isfinite(rows.data)))
        if len(wrong):
            sample = start + int(np.searchsorted(rows.indptr, wrong[0], side="right")) - 1
            raise BadInput(
                f"Sample {sample} has the activation {rows.data[wrong[0]]} for feature {rows.indices[wrong[0]]}; stored"
                " activations must be positive and finite. Leave out zeros and check the SAE's weights."
            )
        if rows.nnz and not 0 <= rows.indices.min() <= rows.indices.max() < batches.features:
            raise StoreDamaged(
                f"The batch with sample {start} names feature {rows.indices.max()} of {batches.features}."
                " Delete the batches and run `loupe harvest` again."
            )
        counts += np.bincount(rows.indices, minlength=batches.features)
        sums += np.bincount(rows.indices, rows.data, batches.features)
        bar.advance(rows.nnz)
    return counts, sums


def _scatter(batches: SampleBlocks, counts: npt.NDArray[np.int64], group: Path, block_nnz: int, bar: Step) -> None:
    """Write the group: each block is sorted by feature (SciPy's counting sort) and appended to every feature's range."""
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    shape = [batches.samples, batches.features]
    create_group(group, {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": shape})
    indices = create_raw(group, "indices", batches.nnz, np.uint32)
    data = create_raw(group, "data", batches.nnz, np.float32)
    free = indptr[:-1].copy()  # the next unwritten place of each feature
    for start, rows in batches.blocks(block_nnz):
        columns = rows.tocsc()
        places = np.arange(columns.nnz) + (free - columns.indptr[:-1])[owners(columns.indptr)]
        indices[places] = (columns.indices.astype(np.int64) + start).astype(np.uint32)
        data[places] = columns.data
        free += np.diff(columns.indptr)
        bar.advance(rows.nnz)
    write_raw(group, "indptr", indptr)
    finish_raw(group, "indices", indices)
    finish_raw(group, "data", data)


def _verify(
    group: Path, counts: npt.NDArray[np.int64], sums: npt.NDArray[np.float64], block_nnz: int, bar: Step
) -> None:
    """Read back what was written: every feature's count and sum, and samples that ascend within each feature."""
    written = FeatureBlocks(group)
    for block in written.blocks(block_nnz):
        here, owner = slice(block.first, block.last), owners(block.indptr)
        found = np.bincount(owner[block.data != 0], minlength=block.last - block.first)
        total = np.bincount(owner, block.data, block.last - block.first)
        ascends = (np.diff(block.indices.astype(np.int64)) > 0) | (np.diff(owner) > 0)
        if (
            not np.array_equal(found, counts[here])
            or not np.allclose(total, sums[here], rtol=SUM_TOLERANCE, atol=0)
            or not ascends.all()
        ):
            raise StoreDamaged(
                f"The transposed activations of features {block.first} to {block.last - 1} differ from their batches."
                " Check the disk and run `loupe transpose` again."
            )
        bar.advance(len(block.data))
