"""The hub on the Home page: what its list says, beside what this workspace has. Never waits for the hub."""

from pathlib import Path
from shlex import quote
from typing import Any

from dashboard.components.hub import Offer, hub_empty, hub_failed, hub_panel, hub_waiting
from dashboard.hub_listing import Snapshot, listing_of
from loaders.hub_place import find_address
from loaders.hub_presence import presence
from loaders.hub_schema import Artifact
from loaders.workspace import Workspace

MOST_OFFERS = 8


def show_hub(workspace: Workspace) -> tuple[Any, bool]:
    """The panel (None where no hub is named), and whether it is worth asking again in a second."""
    address = find_address(None, workspace.root)
    if address is None:
        return None, False
    found = listing_of(address).snapshot()
    return _panel(found, workspace), found.waited is not None


def _panel(found: Snapshot, workspace: Workspace) -> Any:
    place = _short(found.shown)
    if found.artifacts is None:
        if found.error is not None and found.waited is None:
            return hub_failed(place, found.error)
        return hub_waiting(place, found.waited or 0.0)
    if not found.artifacts:
        return hub_empty(place, "loupe hub push saes/ID --version 1.0.0 --license Apache-2.0", found.faults)
    newest = sorted(found.artifacts, key=lambda each: each.created, reverse=True)[:MOST_OFFERS]
    warning = f"This list is {found.age / 60:.0f} min old: {found.error}" if found.error else None
    offers = [_offer(each, workspace, found.shown) for each in newest]
    return hub_panel(offers, len(found.artifacts), place, warning, found.faults)


def _offer(artifact: Artifact, workspace: Workspace, address: str) -> Offer:
    command = f"loupe hub pull {artifact.reference}"
    into = f" --workspace {quote(str(workspace.root))}" if workspace.url is None else ""
    return Offer(
        name=artifact.name,
        version=artifact.version,
        description=artifact.description,
        kind="SAE" if artifact.kind == "sae" else artifact.kind,
        model=artifact.model.name if artifact.model else "–",
        license=artifact.license,
        tags=", ".join(artifact.tags) or "–",
        size=artifact.size,
        state=presence(workspace.root, artifact),
        shown=command,
        command=f"{command} --hub {quote(address)}{into}",
    )


def _short(place: str) -> str:
    """A URL as it is; of a folder its last two names, as the rest says nothing to a visitor."""
    return place if "://" in place else "/".join(Path(place).parts[-2:])
