"""What a hub's artifacts are, as the verbs report it, and which of them somebody looks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loaders.hub_presence import presence
from loaders.hub_schema import Artifact


def describe(artifact: Artifact, workspace: Path | None) -> dict[str, Any]:
    """One artifact without its list of files; `state` is None without a workspace to look in."""
    return {
        **artifact.model_dump(mode="json", exclude={"files", "contents"}),
        "contents": [content.place for content in artifact.contents],
        "files": len(artifact.files),
        "size": artifact.size,
        "state": presence(workspace, artifact) if workspace is not None else None,
    }


def matching(
    artifact: Artifact, words: Sequence[str], kind: str | None, tags: Sequence[str], model: str | None
) -> bool:
    """Whether every word occurs in it, whatever the case, and it is of that kind and model and has all of the tags."""
    hooks = [sae.hook for sae in artifact.saes]
    name = artifact.model.name if artifact.model else ""
    text = " ".join([artifact.name, artifact.description, *artifact.tags, name, artifact.author, *hooks]).casefold()
    if model is not None:
        fingerprint = (artifact.model and artifact.model.fingerprint) or ""
        if not name or (model.casefold() not in name.casefold() and not fingerprint.startswith(model)):
            return False
    return (
        all(word.casefold() in text for word in words)
        and kind in (None, artifact.kind)
        and set(tags) <= set(artifact.tags)
    )
