"""dictionary_learning: `ae.pt` (a state dict) and `config.json` whose `trainer.dict_class` names the formula.

AutoEncoder, GatedAutoEncoder, AutoEncoderTopK and the batch top-k kinds read x minus the decoder's bias; JumpReluAutoEncoder
reads x itself. `encoder.weight` and `decoder.weight` lie transposed."""

import os
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loaders.errors import BadInput
from precompute.formats.raw import Raw, read_json, read_sidecar, saelens_names, write_sidecar
from precompute.publish import write_json
from precompute.saes.sae import Sae, shift_input

NAME = "dictionary_learning"
WEIGHTS = "ae.pt"


class Kind(NamedTuple):
    """Architecture of a dict_class, and the file's names of tensors by SAELens's; "^T" marks a transposed one."""

    architecture: str
    names: dict[str, str]
    takes_b_dec: bool = True


_LINEAR = {"W_enc": "encoder.weight^T", "W_dec": "decoder.weight^T"}
_PLAIN = {"W_enc": "W_enc", "W_dec": "W_dec", "b_enc": "b_enc", "b_dec": "b_dec"}
KINDS = {
    "AutoEncoder": Kind("standard", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "bias"}),
    "GatedAutoEncoder": Kind(
        "gated", {**_LINEAR, "b_dec": "decoder_bias", "b_gate": "gate_bias", "b_mag": "mag_bias", "r_mag": "r_mag"}
    ),
    "AutoEncoderTopK": Kind("topk", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "b_dec"}),
    "JumpReluAutoEncoder": Kind("jumprelu", {**_PLAIN, "threshold": "threshold"}, takes_b_dec=False),
    "BatchTopKSAE": Kind("jumprelu", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "b_dec", "threshold": "threshold"}),
    "MatryoshkaBatchTopKSAE": Kind("jumprelu", {**_PLAIN, "threshold": "threshold"}),
}
WRITTEN = {"standard": "AutoEncoder", "gated": "GatedAutoEncoder", "topk": "AutoEncoderTopK"}


def is_it(path: Path) -> bool:
    return (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for an unknown dict_class, or a pickle of more than tensors, which is not loaded."""
    trainer = read_json(path / "config.json").get("trainer") or {}
    kind = KINDS.get(trainer.get("dict_class", ""))
    if kind is None:
        raise BadInput(f"dict_class '{trainer.get('dict_class')}' is none of {', '.join(KINDS)}, which Loupe computes.")
    state = _load(path / WEIGHTS)
    tensors = {name: _take(state, key) for name, key in kind.names.items() if key.removesuffix("^T") in state}
    if kind.architecture == "jumprelu" and "threshold" in tensors and "b_enc" in tensors:
        tensors["threshold"] = tensors["threshold"].expand(tensors["b_enc"].shape)
    stated = (trainer.get("activation_dim"), trainer.get("dict_size"))
    k = trainer.get("k", state.get("k")) if kind.architecture == "topk" else None
    said = {
        "model_name": trainer.get("lm_name"),
        "layer_index": trainer.get("layer"),
        "dict_class": trainer["dict_class"],
    }
    metadata = {name: value for name, value in said.items() if value is not None} | read_sidecar(path)
    return Raw(
        NAME,
        kind.architecture,
        tensors,
        None if k is None else int(k),
        kind.takes_b_dec,
        metadata=metadata,
        stated=stated,
    )


def write(directory: Path, sae: Sae) -> None:
    class_name = WRITTEN.get(sae.architecture, "JumpReluAutoEncoder")
    kind = KINDS[class_name]
    named = saelens_names(sae if kind.takes_b_dec else shift_input(sae, -sae.b_dec))
    state = {
        key.removesuffix("^T"): named[name].t() if key.endswith("^T") else named[name]
        for name, key in kind.names.items()
    }
    state = {key: tensor.contiguous() for key, tensor in state.items()}
    if sae.architecture == "topk":  # buffers of the class: k, and a threshold that only training sets
        state |= {"k": torch.tensor(sae.k, dtype=torch.int), "threshold": torch.tensor(-1.0)}
    temporary = directory / (WEIGHTS + ".tmp")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / WEIGHTS)
    write_sidecar(directory, sae)
    trainer: dict[str, Any] = {"dict_class": class_name, "activation_dim": sae.d_in, "dict_size": sae.d_sae}
    trainer |= {"k": sae.k} if sae.k else {}
    trainer |= {"layer": sae.extra.get("layer_index"), "lm_name": sae.extra.get("model_name")}
    write_json(directory / "config.json", {"trainer": trainer, "buffer": {}})


def _take(state: dict[str, Tensor], key: str) -> Tensor:
    return state[key.removesuffix("^T")].t() if key.endswith("^T") else state[key]


def _load(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"'{path}' cannot be loaded as tensors alone ({reason}).") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise BadInput(f"'{path}' holds no state dict of tensors.")
    return state
