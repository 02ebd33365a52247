"""Loads into the catalog what the workspace's files say: statistics of every published store, SAE files, logged metrics."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from catalog.catalog import Catalog
from catalog.features import forget_store, put_store, synced_stores
from catalog.metrics import metrics_of, put_metrics
from catalog.models import SaeModel, forget_model, put_model, sae_models
from catalog.runs import Run, runs
from loaders.errors import LoupeError
from loaders.sae import SaeRecord
from loaders.tables import read_parquet_table
from loaders.workspace import Workspace

STATISTICS = {  # columns of the catalog, by column of the table `stats`
    "feature_id": "feature_id",
    "n": "n",
    "density": "density",
    "sum": "activation_sum",
    "mean": "mean_activation",
    "max": "max_activation",
}
READ_AT_ONCE = 2**20


class Synced(NamedTuple):
    """What a sync did: stores loaded, as they were, and forgotten; features loaded; SAE files and runs' metrics taken up;
    and a sentence for everything that could not be read."""

    loaded: list[str]
    unchanged: list[str]
    forgotten: list[str]
    features: int
    models: int
    runs: int
    problems: list[str]


def sync(workspace: Workspace, catalog: Catalog) -> Synced:
    """Bring the catalog up to what the workspace holds; what did not change is not read again. A store, SAE or run that
    cannot be read is named among the problems, and the others are loaded."""
    done = Synced([], [], [], 0, 0, 0, [])
    done = _sync_stores(workspace, catalog, done)
    done = done._replace(models=_sync_models(workspace, catalog, done.problems))
    return done._replace(runs=_sync_metrics(workspace, catalog, done.problems))


def _sync_stores(workspace: Workspace, catalog: Catalog, done: Synced) -> Synced:
    known = {store.store_id: store.store_fingerprint for store in synced_stores(catalog)}
    published = set(workspace.store_ids())
    for store_id in sorted(set(known) - published):
        forget_store(catalog, store_id)
        done.forgotten.append(store_id)
    norms: dict[str, list[float] | None] = {}
    features, manifests = 0, workspace.manifests()
    for store_id in sorted(published - manifests.keys()):
        done.problems.append(f"The manifest of store '{store_id}' cannot be read: `loupe inspect {store_id}` says why.")
    for store_id, manifest in manifests.items():
        if known.get(store_id) == manifest["fingerprints"]["store"]:
            done.unchanged.append(store_id)
            continue
        try:
            if manifest["sae"] not in norms:
                norms[manifest["sae"]] = _decoder_norms(workspace, manifest["sae"])
            features += _load_store(workspace, catalog, store_id, manifest, norms[manifest["sae"]])
        except LoupeError as error:
            done.problems.append(str(error))
        else:
            done.loaded.append(store_id)
    return done._replace(features=features)


def _load_store(
    workspace: Workspace, catalog: Catalog, store_id: str, manifest: dict[str, Any], norms: list[float] | None
) -> int:
    table = read_parquet_table(workspace.store_dir(store_id), "stats")
    columns: dict[str, list[Any]] = {name: table.column(column).to_pylist() for column, name in STATISTICS.items()}
    columns["decoder_norm"] = norms if norms and len(norms) == table.num_rows else [None] * table.num_rows
    return put_store(
        catalog,
        store_id=store_id,
        store_fingerprint=manifest["fingerprints"]["store"],
        sae_fingerprint=manifest["fingerprints"]["sae"],
        sae_id=manifest["sae"],
        dataset_id=manifest["dataset"],
        samples=manifest["samples"],
        columns=columns,
    ).features


def _decoder_norms(workspace: Workspace, sae_id: str) -> list[float] | None:
    """Norms of the decoder's rows; None where the SAE came without weights."""
    if not (workspace.sae_dir(sae_id) / "cfg.json").exists():
        return None
    record = workspace.sae(sae_id)
    if not record.weights_path.exists():
        return None
    norms: list[float] = np.linalg.norm(record.tensor("W_dec").astype(np.float32, copy=False), axis=1).tolist()
    return norms


def _sync_models(workspace: Workspace, catalog: Catalog, problems: list[str]) -> int:
    """Take up new and changed weights; forget those that are gone. How many were hashed."""
    known = {(model.sae_fingerprint, model.file_path): model for model in sae_models(catalog)}
    newest = {run.sae_id: run.run_id for run in reversed(runs(catalog))}
    there, taken = set(), 0
    for sae_id in workspace.sae_ids():
        try:
            record = workspace.sae(sae_id)
            fingerprint = record.metadata.get("fingerprints", {}).get("sae")
            if fingerprint is None or not record.weights_path.exists():
                continue
            key = fingerprint, record.weights_path.relative_to(workspace.root).as_posix()
            there.add(key)
            status = record.weights_path.stat()
            written = datetime.fromtimestamp(int(status.st_mtime), UTC)
            if key in known and (known[key].file_bytes, known[key].exported_at) == (status.st_size, written):
                continue
            put_model(catalog, _model(record, key, newest.get(sae_id), status.st_size, written))
            taken += 1
        except LoupeError as error:
            problems.append(str(error))
    for fingerprint, path in known.keys() - there:
        if not (workspace.root / path).exists():
            forget_model(catalog, fingerprint, path)
    return taken


def _model(record: SaeRecord, key: tuple[str, str], run_id: str | None, size: int, written: datetime) -> SaeModel:
    shapes = record.shapes()
    features, width = shapes.get("W_dec", (0, 0))
    return SaeModel(
        sae_fingerprint=key[0],
        file_path=key[1],
        sae_id=record.id,
        run_id=run_id,
        format="saelens",
        architecture=str(record.cfg.get("architecture", "unknown")),
        model_id=record.metadata.get("model_id"),
        hook=record.metadata.get("hook_name"),
        width=width,
        features=features,
        file_bytes=size,
        checksum=_file_sha256(record.weights_path),
        is_neuronpedia_compatible="W_dec" in shapes,
        exported_at=written,
    )


def _file_sha256(path: Path) -> str:
    digest = sha256()
    with open(path, "rb") as file:
        while part := file.read(READ_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def _sync_metrics(workspace: Workspace, catalog: Catalog, problems: list[str]) -> int:
    """Load metrics.jsonl of the latest run of each SAE where the catalog keeps none of it; how many runs."""
    latest: dict[str, Run] = {}
    for run in runs(catalog):
        latest.setdefault(run.sae_id, run)
    loaded = 0
    for run in latest.values():
        path = workspace.sae_dir(run.sae_id) / "metrics.jsonl"
        if run.status == "running" or not path.exists() or metrics_of(catalog, run.run_id):
            continue
        try:
            loaded += put_metrics(catalog, run.run_id, _rows(path)) > 0
        except (ValueError, KeyError) as error:
            problems.append(f"'{path}' is no metrics.jsonl ({error}): the curves of '{run.run_id}' were not loaded.")
    return loaded


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a metrics.jsonl; one that a crash cut off is left out."""
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
