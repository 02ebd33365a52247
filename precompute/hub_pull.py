"""Pull an artifact and what it depends on: everything is fetched, hashed and opened where nobody sees it, then renamed."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from loaders.errors import BadInput, StoreDamaged
from loaders.hub import Hub
from loaders.hub_presence import fingerprint_of, state_of
from loaders.hub_schema import Artifact, Content, as_document
from loaders.hub_version import read_reference
from loaders.schema import SCHEMA_VERSION
from loaders.seal import sealed
from loaders.usage import tree_bytes
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.hub_download import Advance, download
from precompute.hub_soundness import Arrived, require_sound
from precompute.progress import Progress
from precompute.publish import write_json

STAGED = ".pulled.partial"
"""Hidden folder beside what is being pulled; `loupe gc` takes it for what it is, a leftover."""
RECORDS = "pulled"
"""Folder of the workspace that keeps each artifact's document: where things came from and under which license."""
ORDER = ("datasets", "saes", "stores", "layers")


class Pulled(NamedTuple):
    """The artifact; what came into the workspace and what was there, as `folder/id`; bytes that were fetched."""

    artifact: Artifact
    added: list[str]
    present: list[str]
    fetched: int


class _Item(NamedTuple):
    """One directory to fetch, and where it goes."""

    arrived: Arrived
    target: Path


def plan(hub: Hub, reference: str) -> list[Artifact]:
    """The artifact that `name` or `name@range` means, after all that it depends on; raises BadInput."""
    return hub.with_dependencies(hub.find(*read_reference(reference)))


def pull(artifacts: list[Artifact], hub: Hub, workspace: Workspace, progress: Progress) -> Pulled:
    """Bring the artifacts of `plan` into a workspace; a pull that was stopped continues where it stopped.

    Raises BadInput for another schema version and for what clashes with something in the workspace, StoreDamaged for
    what is not as its author published it; then nothing has become visible. Call it with the workspace's lock held.
    """
    artifact = artifacts[-1]
    for each in artifacts:
        if each.schema_version != SCHEMA_VERSION:
            raise BadInput(
                f"'{each.reference}' has schema version {each.schema_version}; this Loupe reads {SCHEMA_VERSION}."
                f" {'Update Loupe.' if each.schema_version > SCHEMA_VERSION else 'Ask its author to push it anew.'}"
            )
    items, present = _items(artifacts, workspace)
    _require_complete(artifacts, workspace)
    needed = sum(file.size for item in items for file in item.arrived.artifact.files_of(item.arrived.content).values())
    staged = sum(tree_bytes(item.arrived.directory) for item in items)
    require_space(workspace.root, max(0, needed - staged), f"the files of '{artifact.reference}'")
    fetched = 0
    with progress.step(f"pull {artifact.reference}", needed, "bytes") as bar:
        for item in items:
            fetched += _fetch(item, hub, bar.advance)
    there = {content.place: content.fingerprint for each in artifacts for content in each.contents}
    for item in items:
        try:
            require_sound(item.arrived, there)
        except StoreDamaged:
            shutil.rmtree(item.arrived.directory, ignore_errors=True)
            raise
    os.sync()
    for item in items:
        item.target.parent.mkdir(exist_ok=True)
        item.arrived.directory.rename(item.target)
    for hidden in {item.arrived.directory.parent for item in items}:
        if not any(hidden.iterdir()):  # no other pull that was stopped
            hidden.rmdir()
    for each in artifacts:
        (workspace.root / RECORDS).mkdir(exist_ok=True)
        write_json(workspace.root / RECORDS / f"{each.reference}.json", sealed(as_document(each)))
    return Pulled(artifact, [item.arrived.content.place for item in items], present, fetched)


def _items(artifacts: list[Artifact], workspace: Workspace) -> tuple[list[_Item], list[str]]:
    """What has to be fetched, in the order in which it becomes visible, and what is there; raises BadInput for a clash."""
    items: dict[str, _Item] = {}
    present = []
    for artifact in artifacts:
        named = [Content(folder="saes", id=sae.id, fingerprint=sae.fingerprint) for sae in artifact.saes]
        for content in dict.fromkeys([*artifact.contents, *named]):
            state = state_of(workspace.root, content)
            other = items.get(content.place)
            if state == "another" or (other and other.arrived.content.fingerprint != content.fingerprint):
                where = f"'{other.arrived.artifact.reference}'" if other else "this workspace"
                raise BadInput(
                    f"'{artifact.reference}' holds another '{content.place}' than {where}: its fingerprint differs."
                    f" Pull it into another workspace, or run `loupe rm {content.place}` first."
                )
            if state == "here" and content in artifact.contents:
                present.append(content.place)
            elif other is None and content in artifact.contents:
                folder = workspace.root / content.folder
                items[content.place] = _Item(
                    Arrived(artifact, content, folder / STAGED / content.id), folder / content.id
                )
    return sorted(items.values(), key=lambda item: ORDER.index(item.arrived.content.folder)), present


def _require_complete(artifacts: list[Artifact], workspace: Workspace) -> None:
    """Raise StoreDamaged where a store would come without its dataset."""
    coming = {(content.place, content.fingerprint) for each in artifacts for content in each.contents}
    for each in artifacts:
        if each.kind in ("store", "set"):
            place = f"datasets/{each.dataset.id}" if each.dataset else "datasets/"
            wanted = each.dataset.fingerprint if each.dataset else ""
            if (place, wanted) not in coming and fingerprint_of(workspace.root / place, "datasets") != wanted:
                raise StoreDamaged(f"'{each.reference}' comes without its dataset '{place}'. Ask its author to add it.")


def _fetch(item: _Item, hub: Hub, advance: Advance) -> int:
    """Fetch what is missing of a directory and drop what does not belong to it; the bytes of the files that were fetched."""
    artifact, content, directory = item.arrived
    wanted = artifact.files_of(content)
    whole = {directory / name for name in wanted}
    begun = {path.with_name(f".{path.name}.partial") for path in whole}
    for path in list(directory.rglob("*")):
        if path.is_symlink() or (path.is_file() and path not in whole | begun):
            path.unlink()
    fetched = 0
    for name, file in wanted.items():
        if download(hub.place, artifact, file, directory / name, advance):
            fetched += file.size
    return fetched
