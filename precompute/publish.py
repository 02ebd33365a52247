"""Publish a store: list every file with size and sha256 in a manifest that is swapped in atomically, last."""

import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from loaders.csc import CscLoader
from loaders.errors import BadInput, StoreDamaged
from loaders.manifest import NAME, combined_sha256, file_sha256, is_published, read_manifest
from loaders.raw import open_group_attributes, open_raw
from loaders.sae import STAGES
from loaders.schema import GROUPED_TABLES, PARQUET_TABLES, SCHEMA_VERSION
from loaders.seal import KEY as SEAL
from loaders.seal import is_intact, sealed
from loaders.tables import GroupedTable, has_table, table_files
from loaders.usage import is_leftover
from loaders.workspace import Workspace
from precompute.progress import Progress
from precompute.weights import has_weights

PACKAGES = ("numpy", "pyarrow", "zarr", "torch", "transformers")
TABLES = (*PARQUET_TABLES, *GROUPED_TABLES)
CORE = ("features.zarr/", "tables/stats.")
"""What makes two stores the same; batches, other forms and the other tables may come and go."""


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Publish what the store holds by now and return its directory; nothing is written when nothing was added.

    Raises BadInput before the core (transposed activations and `stats`) is there, and StoreDamaged when SAE or dataset
    are no longer those of the published store.
    """
    store_dir = workspace.store_dir(config.store)
    if not CscLoader(store_dir).is_available or not has_table(store_dir, "stats"):
        raise BadInput(f"Store '{config.store}' has no core yet: run `loupe harvest`, `transpose` and `stats` first.")
    present = [table for table in TABLES if has_table(store_dir, table)]
    fields = None
    if is_published(store_dir):
        published = read_manifest(store_dir, "store")
        if SEAL in published and list_files(store_dir, published["files"]) == published["files"]:
            return store_dir
    else:
        fields = _describe(config.store, workspace)
    with progress.step(f"publish {config.store}", len(present), "tables"):
        publish(store_dir, fields, present)
    return store_dir


def _describe(store_id: str, workspace: Workspace) -> dict[str, Any]:
    """The manifest's fields about SAE, dataset and shapes."""
    sae_id, _, dataset_id = store_id.partition("@")
    store_dir, sae, dataset = workspace.store_dir(store_id), workspace.sae(sae_id), workspace.dataset(dataset_id)
    harvest = json.loads((store_dir / "harvest.json").read_text())
    samples, features = open_group_attributes(store_dir / "features.zarr")["shape"]  # type: ignore[misc]
    fingerprints = {name: sae.metadata["fingerprints"][name] for name in ("model", "sae")}
    if harvest["fingerprints"] != {**fingerprints, "dataset": dataset.fingerprint}:
        raise StoreDamaged(
            f"The activations of '{store_id}' are not of its SAE and dataset. Delete the store and harvest again."
        )
    return {
        "granularity": "token",
        "samples": samples,
        "features": features,
        "nnz": len(open_raw(store_dir / "features.zarr" / "indices")),
        "sae": sae_id,
        "dataset": dataset_id,
        "model": sae.metadata["model_name"],
        "model_id": sae.metadata["model_id"],
        "hook": sae.metadata["hook_name"],
        "set": sae.metadata["set"],
        "layer_index": sae.metadata["layer_index"],
        "has_weights": has_weights(sae),
        **({"conversion": harvest["conversion"]} if "conversion" in harvest else {}),
        **({STAGES: sae.metadata[STAGES]} if sae.metadata.get(STAGES) else {}),
        "fingerprints": {**fingerprints, "dataset": dataset.fingerprint},
        "quality": {**sae.metadata["quality"], **harvest["quality"]},
        "seed": sae.metadata.get("seed"),
    }


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write JSON under a temporary name, flush it to the disk and rename it."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def list_files(directory: Path, known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every finished file below `directory` with bytes, sha256 and mtime; hashes of unchanged `known` files are kept."""
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_file() or name == NAME or is_leftover(path, directory):
            continue
        status = path.stat()
        old = known.get(name)
        if old and (old["bytes"], old["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
            files[name] = old
        else:
            files[name] = {"bytes": status.st_size, "sha256": file_sha256(path), "mtime_ns": status.st_mtime_ns}
    return files


def publish(store_dir: Path, fields: dict[str, Any] | None, tables: list[str]) -> dict[str, Any]:
    """Write the next generation of the manifest and return it.

    The first generation needs `fields` (shapes, ids, fingerprints of model, SAE and dataset, quality, seed);
    later ones keep them. `tables` are all that are there. The store's fingerprint covers `CORE`. Raises StoreDamaged where
    the activations are not those that were published.
    """
    old = _read_own(store_dir) if is_published(store_dir) else None
    files = list_files(store_dir, old["files"] if old else {})
    if old:
        _require_same_activations(store_dir, old["files"], files)
    core = {name: files[name] for name in files if name.startswith(CORE)}
    manifest = {
        **(old or {}),
        **(fields or {}),
        "schema_version": SCHEMA_VERSION,
        "kind": "store",
        "id": store_dir.name,
        "generation": (old["generation"] if old else 0) + 1,
        "created_at": old["created_at"] if old else datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in PACKAGES},
        "command": " ".join(["loupe", *sys.argv[1:]]),
        "tables": {name: {"rows": _rows(store_dir, name)} for name in tables},
        "files": files,
    }
    manifest["fingerprints"] = {**manifest["fingerprints"], "store": combined_sha256(core)}
    write_json(store_dir / NAME, sealed(manifest))
    return manifest


def withdraw(store_dir: Path, folder: str) -> None:
    """Write the next generation of the manifest without the files of `folder`, which may then be removed."""
    old = _read_own(store_dir)
    files = {name: entry for name, entry in old["files"].items() if not name.startswith(f"{folder}/")}
    write_json(store_dir / NAME, sealed({**old, "generation": old["generation"] + 1, "files": files}))


def _read_own(store_dir: Path) -> dict[str, Any]:
    """The manifest that is there; raises StoreDamaged when it is not as it was written, so that nothing wrong is kept."""
    manifest = read_manifest(store_dir, "store")
    if SEAL in manifest and not is_intact(manifest):
        raise StoreDamaged(
            f"The manifest of '{store_dir.name}' was altered: its checksum differs. Remove the store with"
            f" `loupe rm stores/{store_dir.name}` and build it again."
        )
    return manifest


def _require_same_activations(store_dir: Path, old: dict[str, Any], files: dict[str, Any]) -> None:
    for name in old:
        if name.startswith(CORE[0]) and old[name]["sha256"] != files.get(name, {}).get("sha256"):
            raise StoreDamaged(
                f"File '{name}' of '{store_dir.name}' is not the one that was published; a published store keeps its"
                f" activations. Run `loupe transpose` again, or remove the store with `loupe rm stores/{store_dir.name}`."
            )


def _rows(store_dir: Path, name: str) -> int:
    if not has_table(store_dir, name):
        raise FileNotFoundError(f"Table '{name}' is to be published but {table_files(name)} are not all there.")
    if name in PARQUET_TABLES:
        return int(pq.read_metadata(store_dir / table_files(name)[0]).num_rows)
    return int(GroupedTable(store_dir, name).read_all().num_rows)
