"""Unpack a store into a workspace: byte for byte what was packed, all of it verified before any of it can be seen."""

import shutil
from pathlib import Path
from typing import Any

from loaders.csc import CscLoader
from loaders.dataset import Dataset
from loaders.errors import BadInput, LoupeError, StoreDamaged
from loaders.manifest import NAME, REQUIRED, check_files, is_published, read_manifest
from loaders.raw import open_group_attributes
from loaders.sae import SaeRecord
from loaders.schema import SCHEMA_VERSION
from loaders.seal import is_intact
from loaders.usage import UNPACKED
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.pack_restore import Part, Shape, restore
from precompute.pack_source import PackDamaged, PackSource, is_entry, is_id, is_safe
from precompute.packing import SAE_FILES
from precompute.progress import Progress


def unpack(path: Path, workspace: Workspace, progress: Progress) -> Path:
    """Restore the pack's store, and its dataset and SAE unless the very same are there; return the store's directory.

    Raises BadInput for what is no pack or clashes with what the workspace has, PackDamaged (which names the file) for a
    pack that cannot be trusted. Call it with the workspace's lock held.
    """
    with PackSource(path) as source:
        with progress.step(f"check {path.name}", sum(each["bytes"] for each in source.files.values()), "bytes") as bar:
            for name in source.files:
                source.require_whole(name, bar.advance)
        store, dataset = _manifest(source, "store"), _manifest(source, "dataset")
        shape = _require_consistent(source, store, dataset)
        store_dir = workspace.store_dir(store["id"])
        if _is_there(store_dir, store):
            return store_dir
        parts = _plan(source, workspace, store, dataset)
        needed = sum(entry["bytes"] for part in parts for entry in part.files.values())
        require_space(workspace.root, needed, f"the unpacked files of '{store['id']}'")
        try:
            with progress.step(f"unpack {store['id']}", needed, "bytes") as bar:
                for part in parts:
                    restore(source, part, shape, bar)
            _require_sae(source, parts, store)
            for part in parts:
                _require_openable(part, shape, path)
            for part in parts:
                part.built.rename(part.target)
        finally:
            for part in parts:
                shutil.rmtree(part.built.parent, ignore_errors=True)
    return store_dir


def _require_openable(part: Part, shape: Shape, pack: Path) -> None:
    """Raise PackDamaged for a part that is whole, byte for byte, and yet nothing that a workspace could open."""
    try:
        if part.kind == "dataset":
            Dataset.open(part.built)
        elif part.kind == "store":
            check_files(part.built, read_manifest(part.built, "store"))
            stated = open_group_attributes(part.built / "features.zarr")["shape"]
            if stated != [shape.samples, shape.features] or CscLoader(part.built).features != shape.features:
                raise StoreDamaged(f"its activations have the shape {stated}")
    except (LoupeError, OSError, KeyError, TypeError, ValueError) as error:
        raise PackDamaged(
            f"The {part.kind} of pack '{pack.name}' cannot be opened ({error}). It is refused."
        ) from error


def _manifest(source: PackSource, kind: str) -> dict[str, Any]:
    """The manifest of one part, with a version that can be read and files that can be believed."""
    place = f"{kind}/{NAME}"
    manifest = source.read_json(place)
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BadInput(
            f"Pack '{source.path.name}' holds a {kind} of version {manifest.get('schema_version')}; this Loupe reads"
            f" {SCHEMA_VERSION}. Ask for a pack of that version, or update Loupe."
        )
    files = manifest.get("files")
    if manifest.get("kind") != kind or REQUIRED[kind] - manifest.keys() or not isinstance(files, dict):
        raise PackDamaged(f"File '{place}' of pack '{source.path.name}' is no manifest of a {kind}. It is refused.")
    for name, entry in files.items():
        if not is_safe(name) or not is_entry(entry) or name == NAME:
            raise PackDamaged(
                f"File '{place}' of pack '{source.path.name}' lists '{str(name)[:120]}', which cannot be a file of a {kind}."
                " It is refused."
            )
    return manifest


def _require_consistent(source: PackSource, store: dict[str, Any], dataset: dict[str, Any]) -> Shape:
    """The activations' shape; raises PackDamaged where ids are none, or store and dataset do not belong together."""
    sae, _, data = str(store["id"]).partition("@")
    prints = store["fingerprints"] if isinstance(store["fingerprints"], dict) else {}
    sizes = [store.get(key) for key in ("samples", "features", "nnz")]
    if (
        not is_id(sae)
        or not is_id(data)
        or (store["sae"], store["dataset"], dataset["id"]) != (sae, data, data)
        or dataset["fingerprint"] != prints.get("dataset")
        or not isinstance(prints.get("sae"), str)
        or not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes)
        or not is_intact(store)
    ):
        raise PackDamaged(
            f"The store '{str(store['id'])[:80]}' of pack '{source.path.name}' contradicts itself. It is refused."
        )
    return Shape(*(int(size) for size in sizes if size is not None))


def _is_there(store_dir: Path, manifest: dict[str, Any]) -> bool:
    """Whether the very same store is there; raises BadInput for another, or an unfinished one, under its id."""
    if not store_dir.exists():
        return False
    if not is_published(store_dir):
        raise BadInput(
            f"Store '{store_dir.name}' is here but not finished. Finish it, or run `loupe rm stores/{store_dir.name}`."
        )
    _require_same("stores", store_dir.name, read_manifest(store_dir, "store")["fingerprints"], manifest["fingerprints"])
    return True


def _require_same(kind: str, name: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise BadInput(
            f"This workspace has another '{kind}/{name}': its fingerprint differs. Unpack into another workspace, or run"
            f" `loupe rm {kind}/{name}`."
        )


def _plan(source: PackSource, workspace: Workspace, store: dict[str, Any], dataset: dict[str, Any]) -> list[Part]:
    """What is to be restored, in the order in which it becomes visible: the store last."""
    wanted = [
        ("dataset", workspace.dataset_dir(dataset["id"]), dataset["files"]),
        ("sae", workspace.sae_dir(store["sae"]), _sae_files(source)),
        ("store", workspace.store_dir(store["id"]), store["files"]),
    ]
    for kind, target, _ in wanted[:2]:
        if target.exists():
            found = (
                workspace.dataset(target.name).fingerprint if kind == "dataset" else _stated(workspace.sae(target.name))
            )
            _require_same(f"{kind}s", target.name, found, store["fingerprints"][kind])
    return [
        Part(kind, target.parent / UNPACKED / target.name, target, files)
        for kind, target, files in wanted
        if files and not target.exists()
    ]


def _sae_files(source: PackSource) -> dict[str, dict[str, Any]]:
    return {name: source.files[f"sae/{name}"] for name in SAE_FILES if f"sae/{name}" in source.files}


def _stated(record: SaeRecord) -> Any:
    fingerprints = record.metadata.get("fingerprints") if isinstance(record.metadata, dict) else None
    return fingerprints.get("sae") if isinstance(fingerprints, dict) else None


def _require_sae(source: PackSource, parts: list[Part], store: dict[str, Any]) -> None:
    """Raise PackDamaged unless the SAE is the one that the store, and every label, names by its fingerprint."""
    for part in parts:
        if part.kind == "sae":
            record = SaeRecord.open(part.built)
            wanted = store["fingerprints"]["sae"]
            has_weights = SAE_FILES[1] in part.files
            if _stated(record) != wanted or (has_weights and record.fingerprint() != wanted):
                raise PackDamaged(
                    f"Pack '{source.path.name}' holds another SAE than its store was made with. It is refused."
                )
