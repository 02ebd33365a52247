"""dictionary_learning: `ae.pt` (a state dict) and `config.json` whose `trainer.dict_class` names the formula.

AutoEncoder, GatedAutoEncoder, AutoEncoderTopK and the batch top-k kinds read x minus the decoder's bias; JumpReluAutoEncoder
and AutoEncoderNew read x itself. `encoder.weight` and `decoder.weight` lie transposed."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loaders.errors import BadInput
from precompute.formats.raw import Raw, read_json, read_sidecar, saelens_names, turned, whole_number, write_sidecar
from precompute.publish import write_json
from precompute.saes.sae import Sae, shift_input

NAME = "dictionary_learning"
WEIGHTS = "ae.pt"


class Kind(NamedTuple):
    """Architecture of a dict_class, and the file's names of tensors by SAELens's; "^T" marks a transposed one."""

    architecture: str
    names: dict[str, str]
    takes_b_dec: bool = True
    unit_rows: bool = False  # the package normalises the decoder when it loads one, and its codes are those


_LINEAR = {"W_enc": "encoder.weight^T", "W_dec": "decoder.weight^T"}
_PLAIN = {"W_enc": "W_enc", "W_dec": "W_dec", "b_enc": "b_enc", "b_dec": "b_dec"}
KINDS = {
    "AutoEncoder": Kind("standard", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "bias"}, unit_rows=True),
    "AutoEncoderNew": Kind(
        "standard", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "decoder.bias"}, takes_b_dec=False
    ),
    "GatedAutoEncoder": Kind(
        "gated", {**_LINEAR, "b_dec": "decoder_bias", "b_gate": "gate_bias", "b_mag": "mag_bias", "r_mag": "r_mag"}
    ),
    "AutoEncoderTopK": Kind("topk", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "b_dec"}),
    "JumpReluAutoEncoder": Kind("jumprelu", {**_PLAIN, "threshold": "threshold"}, takes_b_dec=False),
    "BatchTopKSAE": Kind("jumprelu", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "b_dec", "threshold": "threshold"}),
    "MatryoshkaBatchTopKSAE": Kind("jumprelu", {**_PLAIN, "threshold": "threshold"}),
}
BUFFERS = ("k", "threshold", "group_sizes")  # of the top-k kinds, for their training
WRITTEN = {"standard": "AutoEncoder", "gated": "GatedAutoEncoder", "topk": "AutoEncoderTopK"}


def is_it(path: Path) -> bool:
    return (path / WEIGHTS).is_file()


def read(path: Path) -> Raw:
    """Raises BadInput for an unknown dict_class, or a pickle of more than tensors, which is not loaded."""
    trainer = read_json(path / "config.json").get("trainer")
    trainer = trainer if isinstance(trainer, dict) else {}
    class_name = trainer.get("dict_class")
    kind = KINDS.get(class_name) if isinstance(class_name, str) else None
    if kind is None:
        raise BadInput(f"dict_class '{class_name}' is none of {', '.join(KINDS)}, which Loupe computes.")
    state = _load(path / WEIGHTS)
    keys = {name: key.removesuffix("^T") for name, key in kind.names.items()}
    tensors = {name: _take(state, kind.names[name]) for name, key in keys.items() if key in state}
    if kind.architecture == "jumprelu" and {"threshold", "b_enc"} <= set(tensors) and tensors["threshold"].numel() == 1:
        tensors["threshold"] = tensors["threshold"].reshape(()).expand(tensors["b_enc"].shape)
    said = {"model_name": trainer.get("lm_name"), "layer_index": trainer.get("layer"), "dict_class": class_name}
    return Raw(
        NAME,
        kind.architecture,
        tensors,
        _k(trainer, state) if kind.architecture == "topk" else None,
        kind.takes_b_dec,
        unit_rows=kind.unit_rows,
        metadata={name: value for name, value in said.items() if value is not None} | read_sidecar(path),
        stated=(trainer.get("activation_dim"), trainer.get("dict_size")),
        unused=tuple(name for name in state if name not in (*keys.values(), *BUFFERS)),
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


def _k(trainer: dict[str, Any], state: dict[str, Tensor]) -> int | None:
    if "k" in trainer:
        return whole_number(trainer["k"])
    return int(state["k"]) if "k" in state and state["k"].numel() == 1 else None


def _take(state: dict[str, Tensor], key: str) -> Tensor:
    return turned(state[key.removesuffix("^T")]) if key.endswith("^T") else state[key]


def _load(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        is_known = isinstance(error, OSError | RuntimeError)
        reason = " ".join(str(error).split())[:120] if is_known else "it is torn, or a pickle of more than that"
        raise BadInput(f"'{path}' cannot be loaded as tensors alone ({reason}). Get the checkpoint again.") from error
    if not isinstance(state, dict) or not all(_is_dense(tensor) for tensor in state.values()):
        raise BadInput(f"'{path}' holds no state dict of dense tensors. Get the checkpoint again.")
    return state


def _is_dense(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided
