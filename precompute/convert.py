"""Step `convert`: dense or sparse activations made elsewhere -> batches, with their dataset and a record of their SAE."""

import hashlib
import math
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from loaders.dataset import Dataset
from loaders.errors import BadInput, StoreDamaged
from loaders.raw import open_group_attributes, open_raw
from loaders.workspace import Workspace, slug
from precompute import foreign
from precompute.convert_config import Config
from precompute.convert_input import Input, open_input, require_rows
from precompute.disk import require_space
from precompute.foreign_sae import existing_sae, write_sae_record
from precompute.parallel import in_order
from precompute.progress import Progress
from precompute.publish import write_json
from precompute.sample_blocks import write_batch
from precompute.sources.source import Source
from precompute.sources.threshold import keep

BATCH_SAMPLES = 32_768  # in a batch at most
BATCH_VALUES = 1 << 26  # stored values in a batch on average (of a dense source: all of them) at most
MOST_BATCHES = 9_999  # as their names can count
TASKS_PER_JOB = 4
PADDING = 1_200_000  # bytes that a batch takes at least, since its arrays are whole inner chunks
DATASET_BYTES = 40  # of a sample, beside its text and metadata
PROBES, PROBED_ROWS = 8, 32  # of a dense source, to guess how much will be written


class _Batch(NamedTuple):
    """Samples start..stop, and what its attributes must say for it to be kept."""

    path: Path
    start: int
    stop: int
    identity: dict[str, Any]


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the batches that are missing, the dataset and the SAE's record, then `harvest.json`; returns the store.

    Raises BadInput for files, names or numbers of rows that do not fit each other, values that are not finite or that
    float32 cannot hold, and batches of another source or threshold.
    """
    for name in (config.sae_id, config.dataset_id):
        if slug(name) != name:
            raise BadInput(
                f"'{name[:80]}' is not an id: wanted letters, digits and [._-], such as '{slug(name)[:80]}'."
            )
    store = workspace.store_dir(f"{config.sae_id}@{config.dataset_id}")
    if not (math.isfinite(config.threshold) and config.threshold >= 0):
        raise BadInput(f"A threshold of {config.threshold} was asked for. Give a finite one that is not negative.")
    found = open_input(config, workspace)
    with found.source as source:
        require_rows(config, found)
        record = existing_sae(workspace, config.sae_id, source.features, source.samples, found.origin)
        batches = _plan(store, source, config)
        missing = [batch for batch in batches if not _is_finished(batch)]
        if not missing and (store / "harvest.json").exists():
            return store
        share = sum(batch.stop - batch.start for batch in missing) / source.samples
        needed = int(share * _estimate(source, config.threshold)) + PADDING * len(missing)
        if found.dataset is None:
            needed += DATASET_BYTES * source.samples + (found.frame.path.stat().st_size if found.frame else 0)
        require_space(store, needed, f"the activations of store '{store.name}'")
        dataset = found.dataset or _write_dataset(workspace, config, found)
        with progress.step(f"convert {store.name}", total=source.samples, unit="samples") as bar:
            bar.skip(source.samples - sum(batch.stop - batch.start for batch in missing))
            runs = _runs(missing, config.jobs)
            tasks = [(run, source, config.threshold) for run in runs]
            for run, _ in zip(runs, in_order(_write, tasks, config.jobs, config.backend), strict=True):
                bar.advance(sum(batch.stop - batch.start for batch in run))
    content, quality, left_out = _measure(batches, source)
    if record is None:
        record = write_sae_record(workspace, config.sae_id, source.features, content, found.origin, config.dataset_id)
    conversion = {
        "kind": found.kind,
        "files": [part.path.name for part in source.parts],
        "array": config.array,
        "threshold": config.threshold,
        "left_out": left_out,
    }
    known = {name: record.metadata["fingerprints"][name] for name in ("model", "sae")}
    harvest = {
        "fingerprints": {**known, "dataset": dataset.fingerprint},
        "samples": source.samples,
        "quality": quality,
        "conversion": conversion,
    }
    write_json(store / "harvest.json", harvest)
    return store


def _write_dataset(workspace: Workspace, config: Config, found: Input) -> Dataset:
    if found.tokens is not None:
        return foreign.write_token_dataset(workspace, config.dataset_id, found.tokens, found.frame)
    assert found.frame is not None
    return foreign.write_frame_dataset(workspace, config.dataset_id, found.frame)


def _plan(store: Path, source: Source, config: Config) -> list[_Batch]:
    """Batches of equal size but the last, however the files are cut; raises BadInput where others lie there."""
    values = source.samples * source.features if source.stored is None else max(source.stored, 1)
    fitting = min(BATCH_SAMPLES, max(BATCH_VALUES * source.samples // values, 1))
    size = max(fitting, -(-source.samples // MOST_BATCHES))
    batches = []
    for number, start in enumerate(range(0, source.samples, size)):
        stop = min(start + size, source.samples)
        identity = {
            "source": [piece.recorded() for piece in source.pieces(start, stop)],
            "threshold": config.threshold,
            "array": config.array,
            "features": source.features,
            "start": start,
        }
        batches.append(_Batch(store / "activations" / f"batch_{number:04d}.zarr", start, stop, identity))
    strange = {path.name for path in (store / "activations").glob("batch_*.zarr")} - {b.path.name for b in batches}
    if strange:
        raise BadInput(
            f"Store '{store.name}' holds the batch '{min(strange)}', which is not of these files. Delete the store's directory,"
            " or choose another id."
        )
    return batches


def _is_finished(batch: _Batch) -> bool:
    """Whether the batch is there and whole (else it is removed); raises BadInput when something else made it."""
    if not batch.path.exists():
        return False
    try:
        for name in ("indptr", "indices", "data"):
            open_raw(batch.path / name)
        attributes = open_group_attributes(batch.path)
    except StoreDamaged:
        shutil.rmtree(batch.path)
        return False
    for name, value in batch.identity.items():
        if attributes.get(name) != value:
            made = f"{name} {attributes[name]!r}" if name in attributes and name != "source" else "another source"
            raise BadInput(
                f"Batch '{batch.path.name}' of '{batch.path.parent.parent.name}' was made with {made}. Repeat that, or delete"
                " the store's directory, or choose another id."
            )
    return True


def _estimate(source: Source, threshold: float) -> float:
    """Bytes of all batches: exact for sparse files, else from a few rows spread over them."""
    stored = source.stored
    if stored is None:
        size = min(PROBED_ROWS, source.samples)
        starts = np.unique(np.linspace(0, source.samples - size, PROBES).astype(np.int64)).tolist()
        blocks = [rows for start in starts for _, rows in source.blocks(start, start + size)]
        seen = sum(rows.shape[0] for rows in blocks)
        stored = sum(int(np.count_nonzero(rows > threshold)) for rows in blocks) * source.samples // max(seen, 1)
    return 8 * stored + 8 * source.samples


def _runs(batches: list[_Batch], jobs: int) -> list[list[_Batch]]:
    """The tasks: single batches for one worker, else a few runs of batches for each, since a task opens the files anew."""
    tasks = TASKS_PER_JOB * (jobs if jobs > 0 else os.cpu_count() or 1)
    size = 1 if jobs == 1 else max(len(batches) // tasks, 1)
    return [batches[first : first + size] for first in range(0, len(batches), size)]


def _write(batches: list[_Batch], source: Source, threshold: float) -> None:
    """Write some batches; in another process the source is a copy that nobody else closes."""
    for batch in batches:
        blocks, negative, small = [], 0, 0
        for piece, rows in source.blocks(batch.start, batch.stop):
            kept = keep(rows, threshold, str(piece.part.path), piece.first)
            blocks.append(kept.rows)
            negative, small = negative + kept.negative, small + kept.small
        attributes = {**batch.identity, "left_out": {"negative": negative, "small": small}}
        write_batch(batch.path, sp.csr_array(sp.vstack(blocks, format="csr")), attributes)


def _measure(batches: list[_Batch], source: Source) -> tuple[str, dict[str, float], dict[str, int]]:
    """sha256 of the activations (however they were cut), what can be said of their quality, and what was left out."""
    digests = [hashlib.sha256() for _ in range(3)]
    counts = np.zeros(source.features, np.int64)
    left_out = {"negative": 0, "small": 0}
    for batch in batches:
        indptr, indices, data = (open_raw(batch.path / name) for name in ("indptr", "indices", "data"))
        for digest, values in zip(digests, (np.diff(indptr), indices, data), strict=True):
            digest.update(np.ascontiguousarray(values).data)
        counts += np.bincount(indices, minlength=source.features)
        found: Any = open_group_attributes(batch.path)["left_out"]
        left_out = {name: count + found[name] for name, count in left_out.items()}
    whole = hashlib.sha256(f"{source.samples} {source.features}".encode())
    for digest in digests:
        whole.update(digest.digest())
    fires = float(counts.sum()) / source.samples
    quality = {
        "l0": fires,
        "l0_all": fires,
        "dead_share": float((counts == 0).mean()),
        "dead_share_samples": source.samples,
    }
    return whole.hexdigest(), quality, left_out
