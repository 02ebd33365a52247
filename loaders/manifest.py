"""Manifests: the last file of every finished directory; a store opens only when its manifest and files agree."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loaders.errors import StoreDamaged, StoreNotFound
from loaders.schema import SCHEMA_VERSION

NAME = "manifest.json"
REQUIRED = {
    "store": {"id", "generation", "samples", "features", "sae", "dataset", "hook", "fingerprints", "tables", "files"},
    "dataset": {"id", "contexts", "samples", "columns", "fingerprint", "files"},
    "activations": {"dataset", "hook", "rows", "width", "shards", "fingerprints"},
    "layers": {"id", "members", "pairs", "shared_basis", "files"},
}


TYPES = {
    "id": str,
    "sae": str,
    "dataset": str,
    "hook": str,
    "samples": int,
    "features": int,
    "nnz": int,
    "contexts": int,
    "generation": int,
    "columns": list,
    "members": list,
    "files": dict,
    "fingerprints": dict,
    "tables": dict,
}
LONGEST_NAME = 1_000


def is_published(directory: Path) -> bool:
    return (directory / NAME).exists()


def stamp(directory: Path) -> tuple[int, int, int]:
    """Changes whenever the manifest is swapped for a newer generation."""
    status = (directory / NAME).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_manifest(directory: Path, kind: str) -> dict[str, Any]:
    """Read a manifest of the wanted kind; raises StoreNotFound without one, StoreDamaged for any other fault."""
    path = directory / NAME
    if not path.exists():
        raise StoreNotFound(f"'{directory}' holds no finished {kind}: it has no {NAME}. Run the step that writes it.")
    try:
        manifest = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise StoreDamaged(f"'{path}' is not valid JSON ({error}). Rebuild the {kind}.") from error
    if not isinstance(manifest, dict):
        raise StoreDamaged(f"'{path}' holds no JSON object. Rebuild the {kind}.")
    if manifest.get("kind") != kind:
        raise StoreDamaged(f"'{path}' describes a {manifest.get('kind')}, not a {kind}.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        found = manifest.get("schema_version")
        is_older = isinstance(found, int) and found < SCHEMA_VERSION
        remedy = "Run `loupe migrate`." if is_older else "Update Loupe."
        raise StoreDamaged(
            f"{kind.capitalize()} version {found} at '{directory}'; this Loupe reads {SCHEMA_VERSION}. {remedy}"
        )
    if missing := sorted(REQUIRED[kind] - manifest.keys()):
        raise StoreDamaged(f"'{path}' has no {', '.join(missing)}. Rebuild the {kind}.")
    for name, wanted in TYPES.items():
        if name in manifest and not isinstance(manifest[name], wanted):
            raise StoreDamaged(
                f"'{path}' says {name} {str(manifest[name])[:40]!r}, which cannot be. Rebuild the {kind}."
            )
    if kind == "store" and (unsaid := sorted({"sae", "dataset", "store"} - manifest["fingerprints"].keys())):
        raise StoreDamaged(f"'{path}' has no fingerprint of {', '.join(unsaid)}. Rebuild the {kind}.")
    if wrong := [name for name, facts in manifest.get("files", {}).items() if not _is_listing(name, facts)]:
        raise StoreDamaged(f"'{path}' lists {wrong[0][:80]!r} in a way that cannot be. Rebuild the {kind}.")
    return manifest


def _is_listing(name: str, facts: Any) -> bool:
    """Whether a file is listed with a possible name, its size and its sha256."""
    return (
        0 < len(name) < LONGEST_NAME
        and "\0" not in name
        and isinstance(facts, dict)
        and isinstance(facts.get("bytes"), int)
        and isinstance(facts.get("sha256"), str)
    )


def check_files(
    directory: Path, manifest: dict[str, Any], hashes: bool = False, elsewhere: tuple[str, ...] = ()
) -> None:
    """Compare every listed file with the disk: presence and size, and the sha256 too when `hashes`.

    Files whose names begin with one of `elsewhere` are not on this disk and not looked at.
    Raises StoreDamaged that names the first file at fault.
    """
    root = directory.resolve()
    for name, wanted in manifest["files"].items():
        if name.startswith(elsewhere):
            continue
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise StoreDamaged(f"The manifest of '{directory}' lists '{name}', which lies outside of it.")
        if not path.is_file():
            raise StoreDamaged(f"File '{name}' of '{directory.name}' is missing. Rebuild it with `loupe build`.")
        size = path.stat().st_size
        if size != wanted["bytes"]:
            raise StoreDamaged(
                f"File '{name}' of '{directory.name}' has {size:,} bytes instead of {wanted['bytes']:,}. Rebuild it."
            )
        if hashes and file_sha256(path) != wanted["sha256"]:
            raise StoreDamaged(
                f"File '{name}' of '{directory.name}' was altered: its sha256 differs from the manifest. Rebuild it."
            )


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined_sha256(files: Mapping[str, Mapping[str, Any]]) -> str:
    """One fingerprint of many files: sha256 over their sorted names and hashes."""
    lines = "".join(f"{name} {files[name]['sha256']}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()
