"""SAEs on disk in the SAELens v6 layout: `sae_weights.safetensors`, then `cfg.json`, which makes them complete."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from loaders.errors import BadInput, StoreDamaged
from loaders.sae import SaeRecord
from precompute.formats import saelens
from precompute.formats.raw import fold, saelens_names
from precompute.publish import write_json
from precompute.saes import ARCHITECTURES
from precompute.saes.sae import Sae
from precompute.saes.topk import TopK

WEIGHTS = "sae_weights.safetensors"


def saelens_config(d_in: int, d_sae: int, k: int, metadata: dict[str, Any]) -> dict[str, Any]:
    """SAELens's cfg.json of a folded top-k SAE: raw inputs, no normalisation left to apply, unit decoder rows."""
    return {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "k": k,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
        "metadata": metadata,
    }


def saelens_tensors(weights: TopK) -> dict[str, torch.Tensor]:
    """Tensors under SAELens's names and shapes: W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_enc, b_dec; float32."""
    named = {"W_dec": weights.w_dec, "W_enc": weights.w_enc.t(), "b_dec": weights.b_dec, "b_enc": weights.b_enc}
    return {name: tensor.detach().float().contiguous() for name, tensor in named.items()}


def sae_fingerprint(tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> str:
    """sha256 over the tensors (name, shape, bytes; sorted by name) and the settings that change what they compute."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name].numpy())
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_sae(directory: Path, weights: TopK, k: int, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write folded weights and, last, cfg.json whose `metadata.fingerprints.sae` is set here; returns the cfg."""
    tensors = saelens_tensors(weights)
    d_in, d_sae = tensors["W_enc"].shape
    settings = {
        key: value for key, value in saelens_config(d_in, d_sae, k, {}).items() if key not in ("device", "metadata")
    }
    fingerprints = {**metadata.get("fingerprints", {}), "sae": sae_fingerprint(tensors, settings)}
    cfg = saelens_config(d_in, d_sae, k, {**metadata, "fingerprints": fingerprints})
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / (WEIGHTS + ".tmp")
    save_file(tensors, temporary, metadata={"format": "pt"})
    temporary.replace(directory / WEIGHTS)
    write_json(directory / "cfg.json", cfg)
    return cfg


def write_imported(directory: Path, sae: Sae, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write an SAE of any architecture and, last, cfg.json with its fingerprint; returns the cfg."""
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
    if record.cfg.get("architecture") == "topk":
        weights, k, cfg = read_sae(directory)
        return Sae("topk", weights.w_enc, weights.w_dec, weights.b_dec, {"b_enc": weights.b_enc}, k), cfg
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


def read_sae(directory: Path) -> tuple[TopK, int, dict[str, Any]]:
    """Weights, k and cfg of a finished SAE.

    Raises StoreNotFound without cfg.json, BadInput for a form that Loupe does not compute, StoreDamaged where the
    tensors are not those of cfg.json.
    """
    record = SaeRecord.open(directory)
    cfg = record.cfg
    _require(cfg, "architecture", set(ARCHITECTURES), directory)
    _require(cfg, "normalize_activations", {"none"}, directory)
    _require(cfg, "reshape_activations", {"none"}, directory)
    _require(cfg, "rescale_acts_by_decoder_norm", {False}, directory)
    tensors = record.tensors
    d_in, d_sae = cfg["d_in"], cfg["d_sae"]
    wanted = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,)}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found != wanted:
        raise StoreDamaged(f"'{directory / WEIGHTS}' holds {found}; its cfg.json says {wanted}. Train the SAE again.")
    named = {name: torch.from_numpy(np.array(tensor, dtype=np.float32)) for name, tensor in tensors.items()}
    if not cfg["apply_b_dec_to_input"]:  # TopK always subtracts b_dec: add back what that takes away
        named["b_enc"] = named["b_enc"] + named["b_dec"] @ named["W_enc"]
    return TopK(named["W_enc"].t().contiguous(), named["b_enc"], named["W_dec"], named["b_dec"]), int(cfg["k"]), cfg


def _require(cfg: dict[str, Any], key: str, supported: set[Any], directory: Path) -> None:
    if cfg.get(key, False) not in supported:  # a key that an older SAELens did not write is off
        computed = ", ".join(sorted(map(str, supported)))
        raise BadInput(f"SAE '{directory.name}' has {key} '{cfg.get(key)}'; Loupe computes {computed}.")
