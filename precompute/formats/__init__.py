"""Checkpoints of other tools: one file per format, each with `is_it`, `read` (-> Raw) and `write` (a folded Sae)."""

from pathlib import Path

from loaders.errors import BadInput
from precompute.formats import dictionary_learning, gemma_scope, saelens, sparsify
from precompute.formats.raw import Raw

FORMATS = {module.NAME: module for module in (saelens, gemma_scope, sparsify, dictionary_learning)}


def read_raw(path: Path) -> Raw:
    """What lies at `path` (a folder, or a file in it); raises BadInput where no format is found or it is refused."""
    return FORMATS[format_of(path)].read(path.parent if path.is_file() else path)


def format_of(path: Path) -> str:
    """The format of the one SAE at `path`; of several in a folder the one whose weights' file is named.

    Raises BadInput where there is none, or several.
    """
    if not path.exists():
        raise BadInput(f"'{path}' does not exist. Give the folder of a checkpoint.")
    directory = path.parent if path.is_file() else path
    found = {module.WEIGHTS: name for name, module in FORMATS.items() if module.is_it(directory)}
    if path.name in found and path.is_file():
        return found[path.name]
    if len(found) > 1:
        raise BadInput(
            f"'{path}' holds the weights of {len(found)} SAEs ({', '.join(found)}). Keep each in its own folder."
        )
    if found:
        return next(iter(found.values()))
    below = sorted(child.name for child in directory.iterdir() if _holds_one(child)) if path.is_dir() else []
    if below:
        raise BadInput(f"'{path}' holds SAEs in folders of their own ({', '.join(below[:4])}). Name one of them.")
    if any((directory / module.WEIGHTS).is_file() for module in FORMATS.values()):
        raise BadInput(
            f"'{path}' holds the weights of an SAE, but no config that says which kind. Get it again, whole."
        )
    raise BadInput(
        f"'{path}' is no SAE that Loupe knows: wanted a folder with cfg.json and sae_weights.safetensors, params.npz, cfg.json"
        " and sae.safetensors, or ae.pt and config.json."
    )


def _holds_one(path: Path) -> bool:
    return path.is_dir() and any(module.is_it(path) for module in FORMATS.values())
