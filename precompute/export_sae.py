"""Write an SAE of a workspace in another tool's format."""

from dataclasses import replace
from pathlib import Path

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.formats import FORMATS, saelens
from precompute.import_sae import UNKNOWN
from precompute.sae_files import load_sae


def export_sae(workspace: Workspace, sae_id: str, format_name: str, target: Path) -> Path:
    """Write `target`, a folder that holds nothing yet, and return it; raises BadInput where the format cannot say it."""
    if format_name not in FORMATS:
        raise BadInput(f"Format '{format_name}' is unknown. Choose one of {', '.join(FORMATS)}.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"'{target}' is there already and not empty. Choose another --to.")
    sae, cfg = load_sae(workspace.sae_dir(sae_id))
    require_space(target, 8 * sae.d_in * sae.d_sae, f"the export of SAE '{sae_id}'")
    target.mkdir(parents=True, exist_ok=True)
    try:
        known = {name: value for name, value in cfg.get("metadata", {}).items() if value != UNKNOWN}
        if format_name == saelens.NAME:
            known = {"sae_lens_version": saelens.LAYOUT_VERSION, **known}
        FORMATS[format_name].write(target, replace(sae, extra=known))
    except BadInput:
        target.rmdir()
        raise
    return target
