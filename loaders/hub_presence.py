"""Whether a workspace has what an artifact holds, told by fingerprints; looks at small local files only."""

import json
from pathlib import Path
from typing import Any, Literal

from loaders.hub_schema import Artifact, Content
from loaders.manifest import NAME, combined_sha256

State = Literal["here", "partly", "another", "absent"]
"""All of it, some of it, something else under one of its ids, nothing."""


def presence(root: Path, artifact: Artifact) -> State:
    """Of an artifact's own contents in the workspace at `root`."""
    states = {state_of(root, content) for content in artifact.contents}
    if "another" in states:
        return "another"
    return "partly" if len(states) > 1 else states.pop()


def state_of(root: Path, content: Content) -> Literal["here", "another", "absent"]:
    """Of one directory: `another` where its fingerprint differs, or where it has none that can be read."""
    directory = root / content.folder / content.id
    if not directory.exists():
        return "absent"
    return "here" if fingerprint_of(directory, content.folder) == content.fingerprint else "another"


def fingerprint_of(directory: Path, folder: str) -> str | None:
    """The fingerprint that a directory of a workspace states of itself; None where it cannot be read."""
    try:
        stated = json.loads((directory / ("cfg.json" if folder == "saes" else NAME)).read_text())
        return stated_fingerprint(stated, folder)
    except (OSError, ValueError, RecursionError):
        return None


def stated_fingerprint(document: Any, folder: str) -> str | None:
    """The same from the content of cfg.json, or of a manifest."""
    try:
        if folder == "layers":
            return combined_sha256(document["files"])
        found = {
            "saes": lambda: document["metadata"]["fingerprints"]["sae"],
            "stores": lambda: document["fingerprints"]["store"],
            "datasets": lambda: document["fingerprint"],
        }[folder]()
    except (KeyError, TypeError, AttributeError):
        return None
    return found if isinstance(found, str) else None
