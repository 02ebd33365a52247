"""SAEs on disk in the SAELens v6 layout: `sae_weights.safetensors`, then `cfg.json`, which makes them complete."""

from pathlib import Path
from typing import Any

from loaders.errors import BadInput, StoreDamaged
from loaders.sae import STAGES, SaeRecord, sae_fingerprint
from precompute.formats import saelens
from precompute.formats.raw import fold, saelens_names, write_safetensors
from precompute.publish import write_json
from precompute.saes.sae import Sae

WEIGHTS = "sae_weights.safetensors"


def write_sae(directory: Path, sae: Sae, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write an SAE and, last, cfg.json whose `metadata.fingerprints.sae` is set here; returns the cfg."""
    tensors, cfg = saelens_names(sae), {**saelens.config(sae), "metadata": metadata}
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    fingerprints = {**metadata.get("fingerprints", {}), "sae": sae_fingerprint(arrays, cfg)}
    cfg["metadata"] = {**metadata, "fingerprints": fingerprints}
    directory.mkdir(parents=True, exist_ok=True)
    write_safetensors(directory / WEIGHTS, tensors)
    write_json(directory / "cfg.json", cfg)
    return cfg


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
    if sae.extra.get(STAGES) != record.metadata.get(STAGES):
        norm = record.cfg.get("normalize_activations")
        raise BadInput(f"SAE '{directory.name}' normalises rows ({norm}) and was only copied here. `loupe import` it.")
    return sae, record.cfg


def bind_model(directory: Path, fingerprint: str) -> None:
    """Note the model that an imported SAE is first harvested on: its checkpoint could not name it."""
    cfg = SaeRecord.open(directory).cfg
    cfg["metadata"]["fingerprints"]["model"] = fingerprint
    write_json(directory / "cfg.json", cfg)
