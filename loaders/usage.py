"""What takes up space in a workspace: a store by part, everything else by kind, and what stopped steps left behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from loaders.manifest import is_published

ADVICE = "advice"
"""Folder of the recommendations of `loupe layers`, the only things of a workspace that are single files."""
KINDS = ("datasets", "models", "activations", "saes", "stores", "layers", ADVICE)
REMOVED = ".removed"
"""Hidden folder beside what is being removed; nothing in it is ever shown."""
UNPACKED = ".unpacked"
"""Hidden folder beside what is being unpacked."""
PARTS = {"activations": "batches", "features.zarr": "csc", "transposed.zarr": "dense", "neuron_acts": "per_feature"}
"""The forms in which a store may hold its activations: folder and name."""


class Leftover(NamedTuple):
    """A temporary file or directory below the workspace and its size."""

    path: Path
    bytes: int


def tree_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; links count for nothing."""
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(child.lstat().st_size for child in path.rglob("*") if child.is_file() and not child.is_symlink())


def store_bytes(directory: Path) -> dict[str, Any]:
    """Bytes on the disk by part: `batches`, `csc`, `dense`, `per_feature`, `tables` (each by name), `other`, `total`."""
    found: dict[str, Any] = {**dict.fromkeys(PARTS.values(), 0), "tables": {}, "other": 0, "total": 0}
    for path in sorted(directory.rglob("*")) if directory.is_dir() else []:
        if path.is_symlink() or not path.is_file():
            continue
        first, *rest = path.relative_to(directory).parts
        size = path.stat().st_size
        found["total"] += size
        if is_leftover(path, directory):
            found["other"] += size
        elif first == "tables" and rest:
            table = rest[0].split(".")[0]
            found["tables"][table] = found["tables"].get(table, 0) + size
        else:
            found[PARTS.get(first, "other")] += size
    return found


def workspace_bytes(root: Path) -> dict[str, Any]:
    """Bytes by kind and id: each dataset, model, SAE, layer set, recommendation and captured hook point; each store by part;
    `leftovers` by path (one inside of a store counts there as well); `other` (the catalog); `total`."""
    found: dict[str, Any] = {kind: {path.name: tree_bytes(path) for path in children(root / kind)} for kind in KINDS}
    found["stores"] = {path.name: store_bytes(path) for path in children(root / "stores")}
    found["activations"] = {
        hook.relative_to(root / "activations").as_posix(): tree_bytes(hook)
        for model in children(root / "activations")
        for dataset in children(model)
        for hook in children(dataset)
    }
    found[ADVICE] = {path.stem: tree_bytes(path) for path in advice_files(root)}
    found["leftovers"] = {left.path.relative_to(root).as_posix(): left.bytes for left in leftovers(root)}
    found["total"] = tree_bytes(root)
    found["other"] = found["total"] - sum(tree_bytes(root / kind) for kind in KINDS)
    return found


def children(directory: Path) -> list[Path]:
    """Directories below, sorted, without hidden and temporary ones."""
    if not directory.is_dir():
        return []
    return [path for path in sorted(directory.iterdir()) if path.is_dir() and not _is_temporary(path)]


def advice_files(root: Path) -> list[Path]:
    """The recommendations of a workspace: `advice/<model>@<dataset>.json`, sorted."""
    return sorted(path for path in (root / ADVICE).glob("[!.]*@*.json") if path.is_file() and not path.is_symlink())


def unpublished_stores(root: Path) -> list[Leftover]:
    """Directories of stores that have no manifest: harvests that have not come to their end, or never will."""
    return [Leftover(path, tree_bytes(path)) for path in children(root / "stores") if not is_published(path)]


def leftovers(root: Path) -> list[Leftover]:
    """Temporary files and directories of all kinds, outermost first; those of a step that runs now are among them."""
    return [Leftover(path, tree_bytes(path)) for kind in KINDS for path in _temporary(root / kind)]


def is_leftover(path: Path, root: Path) -> bool:
    """Whether the path, or a directory between `root` and it, bears a temporary name."""
    return any(_is_temporary(place) for place in (path, *path.parents) if place.is_relative_to(root) and place != root)


def _temporary(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if _is_temporary(path):
            yield path
        elif path.is_dir() and not path.is_symlink():
            yield from _temporary(path)


def _is_temporary(path: Path) -> bool:
    """Ids never begin with a dot, but one may end like a temporary name: then what makes it complete tells them apart."""
    if path.name in (REMOVED, UNPACKED):
        return True
    is_named_so = path.name.endswith((".tmp", ".partial"))
    return is_named_so and (path.name.startswith(".") or not (is_published(path) or (path / "cfg.json").exists()))
