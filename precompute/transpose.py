"""Turn the row-major batches of a store into feature-major CSC arrays: one pass counts, a second one sorts span by span."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.manifest import file_sha256, is_published, read_manifest
from loaders.workspace import Workspace
from precompute import dense, per_feature
from precompute.csc_group import Plan, write_group
from precompute.disk import in_bytes, in_megabytes, require_space
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.sample_blocks import SampleBlocks

MOST_SAMPLES = 2**32  # sample indices are stored as uint32
LARGEST_PIECE = 1 << 20  # activations sorted at once: what a processor's cache holds
BYTES_PER_PIECE_NNZ = 48  # of working memory while a piece is sorted or merged, all temporaries included
BYTES_PER_FEATURE = 96  # pointers, counts and sums
BYTES_PER_SPAN_FEATURE = 12  # a span's counts and places, kept for all spans
SMALLEST_ROOM = 8 * 2**20


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    memory: str = "1GiB"
    """Most anonymous memory to take beyond the program's own, all jobs together, such as 512MiB, 1GiB or 1500MB; any
    gives the same bytes."""
    dense: bool = False
    """Also write transposed.zarr: one dense Zarr array [features, samples]."""
    per_feature: bool = False
    """Also write neuron_acts: a pair of npy files for every feature."""
    jobs: int = 1
    """Tasks at once; -1 is one per core."""
    backend: str = "loky"
    """What runs them: loky (this machine), dask or ray."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write `features.zarr` (AnnData csc_matrix encoding: indptr i64, indices u32, data f32) and return its path.

    Raises StoreNotFound without batches, BadInput for an unfinished harvest, too little memory, values that are no
    activations or too many samples, and StoreDamaged when the result does not agree with the batches.
    """
    store_dir, memory = workspace.store_dir(config.store), in_bytes(config.memory)
    batches = SampleBlocks.open(store_dir)
    target = store_dir / "features.zarr"
    if not _is_complete(store_dir, batches):
        _require_harvested(store_dir, batches)
        if batches.samples >= MOST_SAMPLES:
            raise BadInput(
                f"Store '{config.store}' has {batches.samples:,} samples; a store holds fewer than {MOST_SAMPLES:,}."
            )
        plan = make_plan(memory, os.cpu_count() or 1 if config.jobs == -1 else config.jobs, batches)
        require_space(
            store_dir, 8 * (batches.nnz + batches.features), f"the transposed activations of '{config.store}'"
        )
        temporary = target.with_name(target.name + ".tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        with progress.step(f"transpose {config.store}", 3 * batches.nnz, "activations") as bar:
            try:
                write_group(store_dir, temporary, plan, bar, config.jobs, config.backend)
            except Exception:  # a full disk wants its space back
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
    if config.dense:
        dense.write(store_dir, memory, progress)
    if config.per_feature:
        per_feature.write(store_dir, memory, progress)
    return target


def make_plan(memory: int, jobs: int, batches: SampleBlocks) -> Plan:
    """Share `memory` bytes between the tasks that run at once; raises BadInput when that is too little to work in."""
    fixed = batches.features * BYTES_PER_FEATURE
    room = memory // max(jobs, 1) - fixed
    piece = min(LARGEST_PIECE, room // 4 // BYTES_PER_PIECE_NNZ)
    span = (room - piece * BYTES_PER_PIECE_NNZ) // (8 + 4 * batches.features // max(piece, 1))
    kept = batches.features * BYTES_PER_SPAN_FEATURE * -(-batches.nnz // max(span, 1))
    if room - kept < SMALLEST_ROOM:
        least = max(jobs, 1) * (fixed + kept + SMALLEST_ROOM)
        raise BadInput(
            f"--memory {in_megabytes(memory)} is too little to transpose {batches.nnz:,} activations of"
            f" {batches.features:,} features in {jobs} jobs at once. Give at least {in_megabytes(least)}."
        )
    return Plan(max(span - span * kept // room, piece), piece)


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


def _is_complete(store_dir: Path, batches: SampleBlocks) -> bool:
    try:
        found = FeatureBlocks.open(store_dir)
    except (StoreDamaged, StoreNotFound):  # made anew
        return False
    same = (found.samples, found.features, found.nnz) == (batches.samples, batches.features, batches.nnz)
    return same and not _is_altered(store_dir)


def _is_altered(store_dir: Path) -> bool:
    """Whether the arrays are other bytes than those that were published."""
    if not is_published(store_dir):
        return False
    listed = read_manifest(store_dir, "store")["files"]
    arrays = {name: facts for name, facts in listed.items() if name.startswith("features.zarr/")}
    return any(file_sha256(store_dir / name) != facts["sha256"] for name, facts in arrays.items())
