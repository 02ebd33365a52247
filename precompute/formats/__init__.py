"""Checkpoints of other tools: one file per format, each with `is_it`, `read` (-> Raw) and `write` (a folded Sae)."""

from pathlib import Path

from loaders.errors import BadInput
from precompute.formats import dictionary_learning, gemma_scope, saelens, sparsify
from precompute.formats.raw import Raw

FORMATS = {module.NAME: module for module in (saelens, gemma_scope, sparsify, dictionary_learning)}


def read_raw(path: Path) -> Raw:
    """What lies at `path` (a folder, or a file in it); raises BadInput where no format is found or it is refused."""
    if not path.exists():
        raise BadInput(f"'{path}' does not exist. Give the folder of a checkpoint.")
    directory = path.parent if path.is_file() else path
    for module in FORMATS.values():
        if module.is_it(directory):
            return module.read(directory)
    raise BadInput(
        f"'{path}' is no SAE that Loupe knows: wanted a folder with cfg.json and sae_weights.safetensors, params.npz, cfg.json"
        " and sae.safetensors, or ae.pt and config.json."
    )
