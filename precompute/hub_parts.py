"""What of a workspace is to be shared: an SAE, a store, a set or a dataset with all that belongs to it, every file hashed.

A store is shared without its row-major batches and other forms of the same activations, as a pack is. Where its maker's
files lay is nobody's business: absolute paths in manifests and settings become names.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from loaders.errors import BadInput, StoreDamaged
from loaders.faults import file_faults
from loaders.hub_presence import stated_fingerprint
from loaders.hub_schema import SAE_FILE, Content, File, is_shareable
from loaders.manifest import NAME, file_sha256, read_manifest
from loaders.sae import SaeRecord
from loaders.seal import KEY as SEAL
from loaders.seal import is_intact, sealed
from loaders.workspace import Workspace
from precompute.packing import LEFT_OUT, packed_manifest
from precompute.progress import Progress

KINDS = {"saes": "sae", "stores": "store", "layers": "set", "datasets": "dataset"}
MANIFESTS = {"stores": "store", "layers": "layers", "datasets": "dataset"}
WEIGHTS = "sae_weights.safetensors"
Advance = Callable[[int], object]


class Source(NamedTuple):
    """A file to share: where it lies, or its bytes where they were made for sharing."""

    file: File
    path: Path | None
    data: bytes


class Part(NamedTuple):
    """One directory of the workspace."""

    content: Content
    sources: list[Source]
    document: dict[str, Any]
    """Its manifest, or the cfg.json of an SAE, as it is shared."""


def collect(workspace: Workspace, name: str, progress: Progress) -> list[Part]:
    """All that `saes/<id>`, `stores/<id>`, `layers/<set>` or `datasets/<id>` needs, what it was asked for last.

    Raises BadInput for another name, StoreNotFound for what is not finished, StoreDamaged for the first file at fault.
    """
    folder, _, identity = name.rstrip("/").partition("/")
    if folder not in KINDS or not identity or "/" in identity:
        raise BadInput(
            f"'{name[:120]}' cannot be shared. Wanted saes/<id>, stores/<id>, layers/<set> or datasets/<id>."
        )
    directories = list(dict.fromkeys(_directories(workspace, folder, identity)))
    if folder == "saes" and not (directories[0] / WEIGHTS).exists() and (directories[0] / "cfg.json").exists():
        raise BadInput(f"SAE '{identity}' has no weights in this workspace: only its stores can be shared.")
    with progress.step(f"check {name}", sum(map(_listed_bytes, directories)), "bytes") as bar:
        parts = [(_sae if path.parent.name == "saes" else _published)(path, bar.advance) for path in directories]
    _require_consistent({part.content.place: part for part in parts})
    return parts


def _directories(workspace: Workspace, folder: str, identity: str) -> list[Path]:
    """The directories that belong to a name, what is needed by others first; an SAE only where the workspace has it."""
    if folder == "saes":
        return [workspace.sae_dir(identity)]
    if folder == "datasets":
        return [workspace.dataset_dir(identity)]
    if folder == "layers":
        layers = workspace.layers_dir(identity)
        members = [str(member["store"]) for member in read_manifest(layers, "layers")["members"]]
        return [*(path for store_id in members for path in _directories(workspace, "stores", store_id)), layers]
    store = workspace.store_dir(identity)
    manifest = read_manifest(store, "store")
    dataset, sae = workspace.dataset_dir(manifest["dataset"]), workspace.sae_dir(manifest["sae"])
    return [dataset, *([sae] if (sae / "cfg.json").exists() else []), store]


def _listed_bytes(directory: Path) -> int:
    """Of the files that will be hashed."""
    folder = directory.parent.name
    if folder == "saes":
        return sum(path.stat().st_size for _, path in _sae_files(directory))
    files = read_manifest(directory, MANIFESTS[folder])["files"]
    return sum(entry["bytes"] for name, entry in files.items() if folder != "stores" or not name.startswith(LEFT_OUT))


def _sae_files(directory: Path) -> list[tuple[str, Path]]:
    """What is shared of an SAE beside cfg.json; checkpoints are its maker's."""
    found = [(path.relative_to(directory).as_posix(), path) for path in sorted(directory.rglob("*"))]
    return [(name, path) for name, path in found if name != "cfg.json" and SAE_FILE.fullmatch(name) and path.is_file()]


def _require_consistent(parts: dict[str, Part]) -> None:
    """Raise StoreDamaged where a store was made from another dataset or SAE, or a set matched over another store."""
    for place, part in parts.items():
        if part.content.folder == "stores":
            prints = part.document["fingerprints"]
            uses = {f"{kind}s/{part.document[kind]}": prints[kind] for kind in ("dataset", "sae")}
        elif part.content.folder == "layers":
            uses = {f"stores/{member['store']}": member["fingerprint"] for member in part.document["members"]}
        else:
            continue
        for used, fingerprint in uses.items():
            if used in parts and parts[used].content.fingerprint != fingerprint:
                raise StoreDamaged(f"'{place}' was made from another version of '{used}'. Build it again.")


def _published(directory: Path, advance: Advance) -> Part:
    folder = directory.parent.name
    manifest = read_manifest(directory, MANIFESTS[folder])
    if SEAL in manifest and not is_intact(manifest):
        raise StoreDamaged(f"The manifest of '{directory.name}' was altered: its checksum differs. It is not shared.")
    if folder == "stores":
        manifest = packed_manifest(manifest)
    faults = file_faults(directory, manifest, verify=True, advance=advance)
    if faults:
        raise StoreDamaged(f"'{faults[0].file}' {faults[0].what}. Rebuild it before it is shared.")
    shared = without_places(manifest)
    shared = sealed(shared) if SEAL in manifest else shared
    place = f"{folder}/{directory.name}"
    sources = [
        Source(File(path=f"{place}/{name}", size=entry["bytes"], sha256=entry["sha256"]), directory / name, b"")
        for name, entry in manifest["files"].items()
    ]
    return _part(folder, directory, [*sources, _made(f"{place}/{NAME}", shared)], shared)


def _sae(directory: Path, advance: Advance) -> Part:
    record = SaeRecord.open(directory)
    if stated_fingerprint(record.cfg, "saes") is None:
        raise StoreDamaged(f"SAE '{record.id}' states no fingerprint of itself. Import or train it again.")
    has_weights = (directory / WEIGHTS).exists()
    if has_weights and record.fingerprint() != stated_fingerprint(record.cfg, "saes"):
        raise StoreDamaged(f"The weights or settings of SAE '{record.id}' were altered: their fingerprint differs.")
    shared, sources = without_places(record.cfg), []
    for name, path in _sae_files(directory):
        size = path.stat().st_size
        file = File(path=f"saes/{record.id}/{name}", size=size, sha256=file_sha256(path))
        sources.append(Source(file, path, b""))
        advance(size)
    return _part("saes", directory, [*sources, _made(f"saes/{record.id}/cfg.json", shared)], shared)


def _part(folder: str, directory: Path, sources: list[Source], document: dict[str, Any]) -> Part:
    for source in sources:
        if not is_shareable(source.file.path):
            raise BadInput(f"File '{source.file.path}' has a name or a kind that is not shared. Remove or rename it.")
    fingerprint = stated_fingerprint(document, folder)
    if fingerprint is None:
        raise StoreDamaged(f"'{folder}/{directory.name}' states no fingerprint of itself. Build it again.")
    return Part(Content(folder=folder, id=directory.name, fingerprint=fingerprint), sources, document)  # type: ignore[arg-type]


def _made(path: str, document: dict[str, Any]) -> Source:
    data = json.dumps(document, indent=1, allow_nan=False).encode()
    return Source(File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest()), None, data)


def without_places(value: Any) -> Any:
    """A JSON document whose absolute paths, and those in the words of a command, are cut to their last name."""
    if isinstance(value, dict):
        return {
            key: " ".join(map(_name, part.split(" ")))
            if key == "command" and isinstance(part, str)
            else without_places(part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [without_places(part) for part in value]
    return _name(value) if isinstance(value, str) else value


def _name(text: str) -> str:
    option, equals, path = text.rpartition("=") if text.startswith("--") else ("", "", text)
    path = path.removeprefix("file://")
    return option + equals + PurePath(path).name if path.startswith(("/", "~/")) and PurePath(path).name else text
