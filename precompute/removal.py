"""Remove what a workspace holds: at once for every reader, never from under what depends on it; and collect leftovers.

Labels live in the catalog, under the fingerprint of their SAE; nothing here touches them.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import BadInput, LoupeError, StoreDamaged, StoreNotFound
from loaders.faults import file_faults, read_leniently
from loaders.manifest import NAME, is_published
from loaders.usage import (
    ADVICE,
    PARTS,
    REMOVED,
    Leftover,
    advice_files,
    children,
    is_leftover,
    leftovers,
    tree_bytes,
    unpublished_stores,
)
from loaders.workspace import Workspace
from precompute.publish import withdraw

DEPTHS = {**dict.fromkeys(("stores", "datasets", "saes", "layers", ADVICE), (2, 2)), "activations": (2, 4)}
"""Parts that a name may have, from kind to id; activations are named by model, dataset and hook point, or any prefix."""
ORDER = (ADVICE, "layers", "stores", "activations", "saes", "datasets")
"""What depends on others goes first."""
BATCHES = next(folder for folder, part in PARTS.items() if part == "batches")


class StillNeeded(LoupeError):
    """Something else in the workspace depends on what was to be removed."""


class Found(NamedTuple):
    """Something to remove: its name as `kind/id`, its directory (a recommendation's file) and its size."""

    name: str
    directory: Path
    bytes: int


def find(workspace: Workspace, names: list[str]) -> list[Found]:
    """What the names stand for, as they lie in the workspace: `stores/<id>`, `datasets/<id>`, `saes/<id>`,
    `layers/<set>`, `advice/<model>@<dataset>`, `activations/<model>[/<dataset>[/<hook>]]`. With a dataset go the
    recommendations that were measured on it.

    Raises BadInput for what is no such name, StoreNotFound for what is not there.
    """
    found = []
    for name in dict.fromkeys(name.rstrip("/") for name in names):
        kind, *parts = name.split("/")
        least, most = DEPTHS.get(kind, (0, 0))
        if not least <= 1 + len(parts) <= most or any(part.startswith(".") or not part for part in parts):
            raise BadInput(
                f"'{name[:120]}' names nothing that can be removed. Wanted stores/<id>, datasets/<id>, saes/<id>,"
                " layers/<set>, advice/<model>@<dataset> or activations/<model>/<dataset>/<hook>."
            )
        there = advice_files(workspace.root) if kind == ADVICE else children(workspace.root.joinpath(kind, *parts[:-1]))
        ids = {path.stem if kind == ADVICE else path.name: path for path in there}
        if parts[-1] not in ids or ids[parts[-1]].is_symlink():
            raise StoreNotFound(f"There is no '{name[:120]}' in this workspace (there: {', '.join(ids) or 'nothing'}).")
        found.append(Found(name, ids[parts[-1]], tree_bytes(ids[parts[-1]])))
    return found + _with_them(workspace, found)


def _with_them(workspace: Workspace, found: list[Found]) -> list[Found]:
    """The recommendations that go along, but for those that are named themselves."""
    names, along = {each.name for each in found}, []
    for path in advice_files(workspace.root):
        name, dataset = f"{ADVICE}/{path.stem}", path.stem.partition("@")[2]
        if f"datasets/{dataset}" in names and name not in names:
            along.append(Found(name, path, tree_bytes(path)))
    return along


def dependents(workspace: Workspace, found: list[Found]) -> dict[str, list[str]]:
    """By name: what depends on it and is not itself to be removed."""
    going = [each.directory for each in found]
    needed: dict[str, list[str]] = {}
    for name, target in _uses(workspace):
        user = workspace.root / name
        for each in found:
            if target == each.directory and not any(user.is_relative_to(directory) for directory in going):
                needed.setdefault(each.name, []).append(name)
    return needed


def require_unneeded(workspace: Workspace, found: list[Found]) -> None:
    """Raise StillNeeded, which names every dependent, where something that stays depends on what is to be removed."""
    needed = dependents(workspace, found)
    if needed:
        what = "; ".join(f"'{name}' is needed by {', '.join(users)}" for name, users in needed.items())
        raise StillNeeded(f"Not removed: {what}. Remove those too, or use --force.")


def remove(found: list[Found]) -> None:
    """Remove all, what depends on others first. Each vanishes by one rename; a reader that has it open keeps its maps.

    Call it with the workspace's lock held.
    """
    for each in sorted(found, key=lambda each: ORDER.index(each.name.split("/")[0])):
        if each.directory.exists():  # not already gone with a directory above it
            discard(each.directory)


def discard(directory: Path) -> None:
    """Take a directory away by one rename into a hidden folder beside it, then delete it, its manifest first."""
    hidden = directory.parent / REMOVED
    hidden.mkdir(exist_ok=True)
    away = hidden / directory.name
    _delete(away)
    directory.rename(away)
    _delete(away)
    if not any(hidden.iterdir()):
        hidden.rmdir()


def collect(workspace: Workspace, unpublished: bool = False, batches: bool = False) -> list[Leftover]:
    """What `gc` would remove: leftovers of stopped steps; on request the directories of unpublished stores, and the batches
    of published ones.
    """
    found = leftovers(workspace.root)
    found += unpublished_stores(workspace.root) if unpublished else []
    if batches:
        paths = [path / BATCHES for path in children(workspace.root / "stores") if is_published(path)]
        found += [Leftover(path, tree_bytes(path)) for path in paths if path.is_dir()]
    return found


def sweep(workspace: Workspace, found: list[Leftover]) -> None:
    """Remove what `collect` found. Batches leave their store's manifest first, as its next generation.

    Raises StoreDamaged, with those batches kept, where the transposed activations do not have their published hashes.
    Call it with the workspace's lock held: no step is running then, so what is temporary was left behind.
    """
    for left in found:
        if left.path.name == BATCHES and is_published(left.path.parent):
            _require_transposed(left.path.parent)
            withdraw(left.path.parent, BATCHES)
        if is_leftover(left.path, workspace.root):  # a temporary name: nobody reads it
            _delete(left.path)
        else:
            discard(left.path)


def _require_transposed(store_dir: Path) -> None:
    """Raise StoreDamaged unless features.zarr is published and every file of it has its published sha256."""
    manifest, faults = read_leniently(store_dir, "store")
    transposed = {name: entry for name, entry in manifest.get("files", {}).items() if name.startswith("features.zarr/")}
    faults += file_faults(store_dir, {"files": transposed}, verify=True)
    if not transposed or faults:
        reason = f"{faults[0].file} {faults[0].what}" if faults else "it has no transposed activations"
        raise StoreDamaged(
            f"The batches of '{store_dir.name}' are kept: {reason}. Run `loupe transpose` and `loupe publish`."
        )


def _uses(workspace: Workspace) -> list[tuple[str, Path]]:
    """Every use in the workspace: name of the user, directory that it needs."""
    root = workspace.root
    uses = []
    for path in children(root / "stores"):
        manifest, _ = read_leniently(path, "store")
        sae, _, dataset = path.name.partition("@")  # what an unreadable or missing manifest does not say
        uses += [
            (f"stores/{path.name}", root / "datasets" / _text(manifest.get("dataset"), dataset)),
            (f"stores/{path.name}", root / "saes" / _text(manifest.get("sae"), sae)),
        ]
    for path in children(root / "layers"):
        for member in _members(path):
            uses += [(f"layers/{path.name}", root / "stores" / member)]
            uses += [(f"layers/{path.name}", root / "saes" / member.partition("@")[0])]
    for model in children(root / "activations"):
        for dataset_dir in children(model):
            uses.append((dataset_dir.relative_to(root).as_posix(), root / "datasets" / dataset_dir.name))
    return uses


def _members(layers: Path) -> list[str]:
    try:
        return [str(member["store"]) for member in json.loads((layers / NAME).read_text())["members"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _text(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise


def _delete(path: Path) -> None:
    """Delete a file or a directory, whose manifest goes first: half of it is never taken for the whole."""
    if path.is_dir() and not path.is_symlink():
        (path / NAME).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
