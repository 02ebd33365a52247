"""What is wrong with a store, its dataset and its SAE: EVERY file that is missing, of another size or altered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import LoupeError
from loaders.manifest import NAME, REQUIRED, file_sha256
from loaders.raw import open_group_attributes, open_raw
from loaders.sae import SaeRecord
from loaders.schema import SCHEMA_VERSION
from loaders.seal import KEY as SEAL
from loaders.seal import is_intact

FOREIGN = "unknown"
"""Architecture of an SAE of which only activations are known: it has no weights to check."""
Advance = Callable[[int], object]


class Fault(NamedTuple):
    """One thing that is wrong: `file` relative to the workspace, `what` in words."""

    file: str
    what: str


def store_faults(directory: Path, verify: bool, advance: Advance = lambda size: None) -> list[Fault]:
    """All faults of the store at `<workspace>/stores/<id>`, of its dataset, and of its SAE where that is there.

    `verify` hashes every file and the SAE's tensors; without it presence and sizes are compared. `advance` is told the
    bytes that were looked at.
    """
    manifest, faults = read_leniently(directory, "store")
    faults += file_faults(directory, manifest, verify, advance)
    if manifest and not faults:
        faults += _contradictions(directory, manifest)
    if _is_text(manifest.get("dataset")):
        faults += _dataset_faults(directory, manifest, verify, advance)
    if _is_text(manifest.get("sae")):
        faults += _sae_faults(directory, manifest, verify)
    return faults


def read_leniently(directory: Path, kind: str) -> tuple[dict[str, Any], list[Fault]]:
    """A manifest as far as it can be used ({} where not at all), and what is wrong with it."""
    place = place_of(directory, NAME)
    try:
        manifest = json.loads((directory / NAME).read_text())
    except FileNotFoundError:
        return {}, [Fault(place, f"is missing: this {kind} has not been published")]
    except (OSError, ValueError) as error:
        return {}, [Fault(place, f"cannot be read ({error})")]
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        return {}, [Fault(place, "is altered: it lists no files")]
    faults = []
    if manifest.get("kind") != kind or manifest.get("id") != directory.name:
        faults.append(Fault(place, f"is altered: it describes {manifest.get('kind')} '{manifest.get('id')}'"))
    if manifest.get("schema_version") != SCHEMA_VERSION:
        faults.append(Fault(place, f"has version {manifest.get('schema_version')}; this Loupe reads {SCHEMA_VERSION}"))
    if missing := sorted(REQUIRED[kind] - manifest.keys()):
        faults.append(Fault(place, f"is altered: it has no {', '.join(missing)}"))
    if (kind == "store" or SEAL in manifest) and not is_intact(manifest):
        state = (
            "is altered: its checksum differs, so that it may accuse others wrongly"
            if SEAL in manifest
            else "has no checksum; `loupe publish` adds it"
        )
        faults.append(Fault(place, state))
    return manifest, faults


def file_faults(
    directory: Path, manifest: dict[str, Any], verify: bool, advance: Advance = lambda size: None
) -> list[Fault]:
    """Every listed file that is missing or has another size; with `verify`, or another sha256."""
    root, faults = directory.resolve(), []
    for name, entry in manifest.get("files", {}).items():
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            faults.append(Fault(place_of(directory, NAME), f"lists '{name}', which lies outside of the directory"))
        elif not isinstance(entry, dict) or not {"bytes", "sha256"} <= entry.keys():
            faults.append(Fault(place_of(directory, NAME), f"is altered: it says nothing usable about '{name}'"))
        elif what := _fault(path, entry, verify):
            faults.append(Fault(place_of(directory, name), what))
        advance(entry.get("bytes", 0) if isinstance(entry, dict) and isinstance(entry.get("bytes"), int) else 0)
    return faults


def _fault(path: Path, entry: dict[str, Any], verify: bool) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"has {size:,} bytes instead of {entry['bytes']:,}" if isinstance(entry["bytes"], int) else "is altered"
    try:
        return "is altered: its sha256 differs" if verify and file_sha256(path) != entry["sha256"] else None
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _contradictions(directory: Path, manifest: dict[str, Any]) -> list[Fault]:
    """Where the arrays, or the number of rows of a table, are not what the manifest says."""
    group = directory / "features.zarr"
    if not group.exists():
        return []
    try:
        shape, nnz = open_group_attributes(group)["shape"], len(open_raw(group / "indices"))
    except (LoupeError, KeyError) as error:
        return [Fault(place_of(directory, "features.zarr"), f"cannot be read ({error})")]
    wanted = [manifest.get("samples"), manifest.get("features")]
    if shape != wanted or nnz != manifest.get("nnz", nnz):
        return [
            Fault(place_of(directory, NAME), f"says {wanted}; features.zarr holds {shape} with {nnz:,} activations")
        ]
    return []


def _dataset_faults(directory: Path, store: dict[str, Any], verify: bool, advance: Advance) -> list[Fault]:
    dataset = directory.parent.parent / "datasets" / Path(store["dataset"]).name
    manifest, faults = read_leniently(dataset, "dataset")
    faults += file_faults(dataset, manifest, verify, advance)
    wanted = _fingerprint(store, "dataset")
    if manifest and wanted and manifest.get("fingerprint") != wanted:
        faults.append(
            Fault(place_of(dataset, NAME), "is of another dataset than the one that this store was made from")
        )
    return faults


def _sae_faults(directory: Path, store: dict[str, Any], verify: bool) -> list[Fault]:
    """What is wrong with the SAE, where it is there: a store is read without it."""
    folder = directory.parent.parent / "saes" / Path(store["sae"]).name
    if not (folder / "cfg.json").exists():
        return []
    wanted = _fingerprint(store, "sae")
    try:
        record = SaeRecord.open(folder)
        stated = record.metadata.get("fingerprints", {}).get("sae")
        if wanted and stated != wanted:
            return [Fault(place_of(folder, "cfg.json"), "is of another SAE than the one that this store was made from")]
        if verify and record.cfg.get("architecture") != FOREIGN and record.fingerprint() != stated:
            place = place_of(folder, "sae_weights.safetensors")
            return [Fault(place, "is altered, or cfg.json is: their fingerprint differs")]
    except LoupeError as error:
        return [Fault(place_of(folder, "sae_weights.safetensors"), f"cannot be read ({error})")]
    except (AttributeError, TypeError, ValueError):
        return [Fault(place_of(folder, "cfg.json"), "is altered: it describes no SAE")]
    return []


def _fingerprint(manifest: dict[str, Any], kind: str) -> str | None:
    found = manifest.get("fingerprints")
    return found.get(kind) if isinstance(found, dict) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def place_of(directory: Path, name: str) -> str:
    """A file as `stores/<id>/<name>`."""
    return f"{directory.parent.name}/{directory.name}/{name}"
