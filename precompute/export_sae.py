"""Write an SAE of a workspace in another tool's format."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.disk import require_space
from precompute.export_stages import say_stages
from precompute.formats import FORMATS, saelens
from precompute.import_sae import UNKNOWN
from precompute.sae_files import load_sae
from precompute.sae_origin import named_there


def export_sae(workspace: Workspace, sae_id: str, format_name: str, target: Path) -> Path:
    """Write `target`, a folder that holds nothing yet, and return it; raises BadInput where the format cannot say it."""
    if format_name not in FORMATS:
        raise BadInput(f"Format '{format_name}' is unknown. Choose one of {', '.join(FORMATS)}.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"'{target}' is there already and not empty. Choose another --to.")
    sae, cfg = load_sae(workspace.sae_dir(sae_id))
    known = {name: value for name, value in cfg.get("metadata", {}).items() if value != UNKNOWN}
    said = say_stages(replace(sae, extra=known), format_name, sae_id)
    if format_name == saelens.NAME:
        said = replace(said, extra={"sae_lens_version": saelens.LAYOUT_VERSION, **named_there(known)})
    require_space(target, 8 * sae.d_in * sae.d_sae, f"the export of SAE '{sae_id}'")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        FORMATS[format_name].write(partial, said)
        partial.replace(target)  # an empty folder may stand there
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
