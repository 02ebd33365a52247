"""Gemma Scope (arXiv 2408.05147): `layer_N/width_W/average_l0_M/params.npz`, JumpReLU SAEs without a config.

pre = x W_enc + b_enc        f = ReLU(pre) where pre > threshold, else 0        x_hat = f W_dec + b_dec

SAEs under `embedding/` were trained on the embedding table's rows, of which the model reads sqrt(d_in) times as much."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loaders.errors import BadInput
from precompute.formats.raw import Raw, read_sidecar, refuse_architecture, saelens_names, write_sidecar
from precompute.saes.sae import Sae, shift_input

NAME = "gemma_scope"
WEIGHTS = "params.npz"


def is_it(path: Path) -> bool:
    return (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for an archive that cannot be read, or a transcoder."""
    if "transcoder" in path.as_posix():
        raise BadInput(f"'{path.name}' lies under a transcoder's path; Loupe reads SAEs, which code what they rebuild.")
    try:
        with zipfile.ZipFile(path / WEIGHTS), np.load(path / WEIGHTS, allow_pickle=False) as arrays:
            tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise BadInput(f"'{path / WEIGHTS}' cannot be read as a NumPy archive ({error}).") from error
    found = read_sidecar(path)
    embeds = re.search(r"(^|/)embedding(/|$)", path.absolute().as_posix()) and not found and "b_dec" in tensors
    scale = max(tensors["b_dec"].numel(), 1) ** -0.5 if embeds else 1.0
    return Raw(NAME, "jumprelu", tensors, takes_b_dec=False, scale=scale, metadata={**_from_path(path), **found})


def write(directory: Path, sae: Sae) -> None:
    refuse_architecture(sae, "Gemma Scope", ("jumprelu", "standard"))
    tensors = saelens_names(shift_input(sae, -sae.b_dec))
    tensors.setdefault("threshold", torch.zeros(sae.d_sae))
    temporary = directory / (WEIGHTS + ".tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **{name: tensor.numpy() for name, tensor in tensors.items()})
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / WEIGHTS)
    write_sidecar(directory, sae)


def _from_path(path: Path) -> dict[str, Any]:
    """Layer, width and L0 as the folders' names say them."""
    words = path.absolute().as_posix()
    layer = re.search(r"layer_(\d+)", words)
    l0 = re.search(r"average_l0_(\d+)", words)
    width = re.search(r"width_(\w+?)(/|$)", words)
    said = {"layer_index": layer and int(layer[1]), "average_l0": l0 and int(l0[1]), "width": width and width[1]}
    return {name: value for name, value in said.items() if value is not None}
