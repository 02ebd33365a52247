"""SAEs on disk in the SAELens v6 layout: `sae_weights.safetensors`, then `cfg.json`, which makes them complete."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loaders.errors import BadInput, StoreDamaged
from loaders.sae import SaeRecord
from precompute.formats import saelens
from precompute.formats.raw import fold, saelens_names
from precompute.publish import write_json
from precompute.saes.sae import Sae

WEIGHTS = "sae_weights.safetensors"


def sae_fingerprint(tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> str:
    """sha256 over the tensors (name, shape, bytes; sorted by name) and the settings that change what they compute."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name].numpy())
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_sae(directory: Path, sae: Sae, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write an SAE and, last, cfg.json whose `metadata.fingerprints.sae` is set here; returns the cfg."""
    tensors, cfg = saelens_names(sae), saelens.config(sae)
    settings = {key: value for key, value in cfg.items() if key != "device"}
    fingerprints = {**metadata.get("fingerprints", {}), "sae": sae_fingerprint(tensors, settings)}
    directory.mkdir(parents=True, exist_ok=True)
    saelens.write(directory, replace(sae, extra={**metadata, "fingerprints": fingerprints}))
    return {**cfg, "metadata": {**metadata, "fingerprints": fingerprints}}


def load_sae(directory: Path) -> tuple[Sae, dict[str, Any]]:
    """A finished SAE of any architecture, and its cfg.

    Raises StoreNotFound without cfg.json, BadInput for a form that Loupe does not compute, StoreDamaged where the
    tensors are not those of cfg.json.
    """
    record = SaeRecord.open(directory)
    if not saelens.is_it(directory):
        raise BadInput(f"SAE '{directory.name}' has no weights in this workspace. Import or train it first.")
    sae = fold(saelens.read(directory))
    found, wanted = (sae.d_in, sae.d_sae), (record.cfg.get("d_in"), record.cfg.get("d_sae"))
    if found != wanted:
        raise StoreDamaged(f"'{directory / WEIGHTS}' holds {found}; its cfg.json says {wanted}. Import the SAE again.")
    return sae, record.cfg


def bind_model(directory: Path, fingerprint: str) -> None:
    """Note the model that an imported SAE is first harvested on: its checkpoint could not name it."""
    cfg = SaeRecord.open(directory).cfg
    cfg["metadata"]["fingerprints"]["model"] = fingerprint
    write_json(directory / "cfg.json", cfg)
