"""Encode captured activations with a finished SAE; hands on a store's row-major batches and `harvest.json`."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

from loaders.dataset import Dataset
from loaders.errors import BadInput, StoreDamaged
from loaders.raw import open_group_attributes, open_raw
from loaders.workspace import Workspace
from precompute.activations import Activations
from precompute.disk import require_space
from precompute.parallel import Distributed, in_order
from precompute.progress import Progress
from precompute.publish import write_json
from precompute.row_stages import RowStages
from precompute.sae_files import bind_model, load_sae
from precompute.saes.sae import Sae
from precompute.sample_blocks import write_batch
from precompute.threads import torch_threads

BATCH_SAMPLES = 32_768  # samples in a batch
ASSUMED_L0 = 128  # active latents of a sample, for the disk's sake, where the architecture does not bound them
ENCODED_ROWS = 4_096  # rows encoded at once
TOLERANCE = 0.01  # by which the held-out FVU may differ, relatively, from what training measured on the same dataset


@dataclass(frozen=True)
class Config(Distributed):
    """Which SAE over which dataset."""

    sae_id: str
    """Id of a finished SAE."""
    dataset_id: str
    """Id of the dataset; the model's activations over it must be captured at the SAE's hook point."""
    threads: int = 2
    """Threads of torch in each task; the last bits of a product may depend on it, so it is recorded."""


class _Source(NamedTuple):
    """What is encoded, and what with."""

    weights: Sae
    stages: RowStages
    activations: Activations
    is_held_out: npt.NDArray[np.bool_]  # (samples)
    fingerprints: dict[str, str]  # model, sae, dataset


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the batches that are missing, then `harvest.json`, and return the store's directory.

    Raises BadInput where SAE, dataset and activations do not belong together or the directory holds batches of others,
    StoreDamaged where the SAE's held-out FVU is not what its training measured.
    """
    if config.threads < 1:
        raise BadInput(f"--threads must be at least 1: found {config.threads}.")
    source, metadata = _open(str(workspace.root), config.sae_id, config.dataset_id)
    if "model" not in metadata["fingerprints"]:
        bind_model(workspace.sae_dir(config.sae_id), source.fingerprints["model"])
    activations, fingerprints = source.activations, source.fingerprints
    store = workspace.store_dir(f"{config.sae_id}@{config.dataset_id}")
    starts = range(0, activations.rows, BATCH_SAMPLES)
    batches = [store / "activations" / f"batch_{number:04d}.zarr" for number in range(len(starts))]
    missing = sum(not _is_finished(batch, fingerprints) for batch in batches)
    if not missing and (store / "harvest.json").exists():
        return store
    require_space(
        store,
        missing * BATCH_SAMPLES * (8 * (source.weights.k or ASSUMED_L0) + 8),
        f"the activations of store '{store.name}'",
    )
    with progress.step(f"harvest {store.name}", total=activations.rows, unit="samples") as bar:
        spans = [(start, min(start + BATCH_SAMPLES, activations.rows)) for start in starts]
        left = [(batch, *span) for batch, span in zip(batches, spans, strict=True) if not batch.exists()]
        bar.skip(activations.rows - sum(stop - start for _, start, stop in left))
        tasks = [(str(workspace.root), config.sae_id, config.dataset_id, config.threads, *one) for one in left]
        for (_, start, stop), _ in zip(left, in_order(_write_batch, tasks, config.jobs, config.backend), strict=True):
            bar.advance(stop - start)
    quality = _measure(batches, source)
    if fingerprints["dataset"] != metadata["fingerprints"].get("dataset"):
        quality |= _of_new_rows(quality)
    elif "fvu_held_out" in quality:
        _require_agreement(config.sae_id, quality["fvu_held_out"], metadata["quality"]["fvu"])
    write_json(store / "harvest.json", {"fingerprints": fingerprints, "samples": activations.rows, "quality": quality})
    return store


def _open(root: str, sae_id: str, dataset_id: str) -> tuple[_Source, dict[str, Any]]:
    """What is encoded, and the SAE's metadata; raises BadInput where they do not belong together."""
    workspace = Workspace(root)
    weights, cfg = load_sae(workspace.sae_dir(sae_id))
    metadata = cfg["metadata"]
    dataset = workspace.dataset(dataset_id)
    activations = Activations.open(workspace.activations_dir(metadata["model_id"], dataset_id, metadata["hook_name"]))
    fingerprints = _agreed_fingerprints(sae_id, cfg, dataset, activations)
    is_held_out = np.repeat(dataset.held_out, np.diff(dataset.sample_offsets))
    return _Source(weights, RowStages.of(metadata), activations, is_held_out, fingerprints), metadata


def _agreed_fingerprints(
    sae_id: str, cfg: dict[str, Any], dataset: Dataset, activations: Activations
) -> dict[str, str]:
    """Fingerprints of model, SAE and dataset; raises BadInput where two of the three say different things."""
    sae, captured = cfg["metadata"]["fingerprints"], activations.manifest["fingerprints"]
    again = f"Delete '{activations.path}' and run `loupe capture` again."
    if captured["model"] != sae.get("model", captured["model"]):
        raise BadInput(f"SAE '{sae_id}' was trained on another model than these activations come from. {again}")
    if captured["dataset"] != dataset.fingerprint or activations.rows != len(dataset.samples):
        raise BadInput(f"The activations at hand are not of dataset '{dataset.id}' as it is now. {again}")
    if activations.width != cfg["d_in"]:
        raise BadInput(f"SAE '{sae_id}' reads rows of {cfg['d_in']}; the activations have {activations.width}. {again}")
    return {"model": captured["model"], "sae": sae["sae"], "dataset": dataset.fingerprint}


def _is_finished(batch: Path, fingerprints: dict[str, str]) -> bool:
    """Whether the batch is there and whole (else it is removed); raises BadInput when it is of another SAE or dataset."""
    if not batch.exists():
        return False
    try:
        for name in ("indptr", "indices", "data"):
            open_raw(batch / name)
    except StoreDamaged:
        shutil.rmtree(batch)
        return False
    if open_group_attributes(batch).get("fingerprints") != fingerprints:
        raise BadInput(
            f"'{batch}' was harvested from another SAE, model or dataset. Delete the store's directory and harvest again."
        )
    return True


@torch.no_grad()
def _write_batch(root: str, sae_id: str, dataset_id: str, threads: int, batch: Path, start: int, stop: int) -> None:
    """Encode samples start..stop into a CSR group (AnnData's csr_matrix encoding) under a temporary name, then rename."""
    source, _ = _open(root, sae_id, dataset_id)
    with torch_threads(threads):
        _encode(batch, start, stop, source, threads)


def _encode(batch: Path, start: int, stop: int, source: _Source, threads: int) -> None:
    indptr, indices, data = [np.zeros(1, np.int64)], [], []
    residual = {False: 0.0, True: 0.0}  # squared, by held out
    pre = torch.empty(ENCODED_ROWS, source.weights.d_sae)
    for first in range(start, stop, ENCODED_ROWS):
        last = min(first + ENCODED_ROWS, stop)
        x = torch.from_numpy(source.activations.read(first, last))
        rows, active, rebuilt = source.stages.code(source.weights, x, out=pre[: len(x)])
        by_row = (rebuilt - rows).double().square().sum(1).numpy()  # (rows)
        is_held_out = source.is_held_out[first:last]
        residual[True] += float(by_row[is_held_out].sum())
        residual[False] += float(by_row[~is_held_out].sum())
        indptr.append(indptr[-1][-1] + active.indptr[1:].numpy())
        indices.append(active.indices.numpy().astype(np.uint32))
        data.append(active.values.numpy())
    attributes = {
        "start": start,
        "threads": threads,
        "fingerprints": source.fingerprints,
        "squared_residual": residual[False] + residual[True],
        "squared_residual_held_out": residual[True],
    }
    shape = (stop - start, source.weights.d_sae)
    parts = (np.concatenate(data), np.concatenate(indices), np.concatenate(indptr))
    write_batch(batch, sp.csr_array(parts, shape=shape), attributes)


def _measure(batches: list[Path], source: _Source) -> dict[str, float]:
    """Quality over all samples, from what the batches hold: exact counts, FVU about the mean of the same samples."""
    counts = np.zeros(source.weights.d_sae, np.int64)
    residual = residual_held_out = 0.0
    for batch in batches:
        attributes: Any = open_group_attributes(batch)
        residual += attributes["squared_residual"]
        residual_held_out += attributes["squared_residual_held_out"]
        counts += np.bincount(open_raw(batch / "indices"), minlength=len(counts))
    deviation, deviation_held_out = _squared_deviations(source)
    quality = {
        "fvu_all": residual / deviation,
        "l0_all": float(counts.sum()) / source.activations.rows,
        "dead_share": float((counts == 0).mean()),
        "dead_share_samples": source.activations.rows,
    }
    return quality | ({"fvu_held_out": residual_held_out / deviation_held_out} if source.is_held_out.any() else {})


def _squared_deviations(source: _Source) -> tuple[float, float]:
    """Sums of squared deviations of all rows and of the held-out rows, each from its own mean.

    Accumulated about b_dec, which is near the mean, so that nothing cancels in one pass.
    """
    centre = source.weights.b_dec.numpy()
    counts, totals, squares = np.zeros(2), np.zeros((2, len(centre))), np.zeros(2)  # trained on, held out
    for start, captured in source.activations.batches(ENCODED_ROWS):
        rows = source.stages.prepare(torch.from_numpy(captured)).numpy()
        is_held_out = source.is_held_out[start : start + len(rows)]
        shifted = (rows - centre).astype(np.float64)
        for group, members in enumerate((shifted[~is_held_out], shifted[is_held_out])):
            counts[group] += len(members)
            totals[group] += members.sum(axis=0)
            squares[group] += float(np.einsum("ij,ij->", members, members))
    everything = squares.sum() - float(totals.sum(axis=0) @ totals.sum(axis=0)) / counts.sum()
    return everything, float(squares[1] - totals[1] @ totals[1] / max(counts[1], 1))


def _of_new_rows(quality: dict[str, float]) -> dict[str, float]:
    """Under the names of training's figures: of a dataset that it did not see, all samples are held out."""
    fvu, rows = quality["fvu_all"], quality["dead_share_samples"]
    return {"fvu": fvu, "explained_variance": 1 - fvu, "l0": quality["l0_all"], "held_out_samples": rows}


def _require_agreement(sae_id: str, measured: float, reported: float) -> None:
    if not abs(measured - reported) <= TOLERANCE * reported + 1e-6:
        raise StoreDamaged(
            f"SAE '{sae_id}' leaves {measured:.4f} of the held-out variance unexplained, but its training reported"
            f" {reported:.4f}: weights or activations were changed. Train and harvest it again."
        )
