"""Bring a checkpoint of another tool into a workspace: folded, checked, fingerprinted, in the workspace's layout."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.formats import read_raw
from precompute.formats.raw import fold
from precompute.sae_files import write_sae
from precompute.sae_origin import hook_here

UNKNOWN = "unknown"
KEPT = ("training", "quality", "fingerprints")  # objects of a workspace's own metadata


@dataclass(frozen=True)
class Config:
    """What is imported, and what its file does not say."""

    path: str
    """The checkpoint's folder, or a file in it."""
    sae_id: str
    """Id that the SAE gets in the workspace."""
    model_id: str | None = None
    """The model's id in the workspace, as `loupe capture` names it."""
    hook: str | None = None
    """Hook point as `loupe capture` names it."""
    set_id: str | None = None
    """The set of SAEs over several layers that it belongs to."""
    layer_index: int | None = None
    """Place in the set."""
    scale: float | None = None
    """Constant that rows are multiplied by before the SAE reads them, where the file owes it."""


def import_sae(config: Config, workspace: Workspace) -> Path:
    """Write `saes/<id>/` and return it; raises BadInput where the id is taken or the checkpoint cannot be used."""
    directory = workspace.sae_dir(config.sae_id)
    if (directory / "cfg.json").exists():
        raise BadInput(
            f"SAE '{directory.name}' exists already. Choose another --sae-id, or `loupe rm saes/{directory.name}`."
        )
    raw = read_raw(Path(config.path).expanduser())
    if config.scale is not None:
        if not (math.isfinite(config.scale) and config.scale > 0):
            raise BadInput(f"--scale must be a positive number: found {config.scale}.")
        raw = replace(raw, scale=config.scale)
    sae = fold(raw)
    require_space(directory, 8 * sae.d_in * sae.d_sae, f"SAE '{directory.name}'")
    write_sae(directory, sae, _metadata(config, raw.metadata, raw.format))
    return directory


def _metadata(config: Config, said: dict[str, Any], format_name: str) -> dict[str, Any]:
    """The keys that stores need, from the options, else from the file; what else the file said stays beside them."""
    objects = {name: said[name] if isinstance(said.get(name), dict) else {} for name in KEPT}
    fingerprints = {
        name: objects["fingerprints"][name] for name in ("model", "dataset") if name in objects["fingerprints"]
    }
    if config.model_id is not None and config.model_id != said.get("model_id"):
        fingerprints = {}  # of another model than the one that is named now
    index = config.layer_index if config.layer_index is not None else said.get("layer_index")
    texts = {key: value for key, value in said.items() if isinstance(value, str)}
    return {
        **said,
        **objects,
        "model_name": texts.get("model_name") or config.model_id or UNKNOWN,
        "model_id": config.model_id or texts.get("model_id") or UNKNOWN,
        "hook_name": config.hook or hook_here(said) or UNKNOWN,
        "set": config.set_id or texts.get("set"),
        "layer_index": index if isinstance(index, int) else 0,
        "imported": {"format": format_name, **({"scale": config.scale} if config.scale is not None else {})},
        "fingerprints": fingerprints,
    }
