"""The matrix through which a direction of the residual stream meets tokens: at the model's output, or else at its input."""

import json
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel

from analysis.coactivation import unit_rows
from precompute.models import find_model, has_causal_head

LOGITS = "logits"
NEAREST = "nearest input tokens"


class Readout(NamedTuple):
    """`weights` float32 [vocabulary, width]: its product with a decoder row is that row's value for every token.

    For the kind "nearest input tokens" the rows have length 1, so a unit decoder row yields cosines.
    """

    kind: str
    weights: npt.NDArray[np.float32]


def read_readout(model: str) -> Readout:
    """Read the readout of `minilm`, a local model folder (only the needed tensors) or a hub id (through transformers).

    With an output head, a direction d in the residual stream changes the logits, up to the positive scale of the final
    norm, by W_U (gamma * (d - mean(d))): the direct path, nothing in between (nostalgebraist, "interpreting GPT: the
    logit lens", 2020; Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021). gamma is the norm's
    scale; the mean is subtracted only where the norm does so (layer norm, not RMS norm). As
    W (d - mean(d)) = (W - row means of W) d, both fold into one matrix.

    Without an output head the weights are the input word embeddings, centred over the vocabulary, rows of length 1.
    """
    source = find_model(model)
    config = AutoConfig.from_pretrained(source)
    has_head = has_causal_head(config)
    with torch.device("meta"):
        empty = (AutoModelForCausalLM if has_head else AutoModel).from_config(config)
    tensors = _Tensors(source, empty)
    embeddings = f"{_name_of(empty, empty.get_input_embeddings())}.weight"
    if not has_head:
        words = tensors.read(embeddings).numpy()
        return Readout(NEAREST, unit_rows(words - words.mean(axis=0)))
    head = f"{_name_of(empty, empty.get_output_embeddings())}.weight"
    weights = tensors.read(embeddings if config.tie_word_embeddings else head).numpy()
    norm_name = _final_norm(empty)
    if norm_name is not None:
        scale, centres = _measure_norm(empty, norm_name, tensors)
        weights = weights * scale
        weights -= weights.mean(axis=1, keepdims=True) if centres else 0
    return Readout(LOGITS, weights)


class _Tensors:
    """Tensors by their name in the model: one by one from a folder's safetensors, else through transformers.

    The latter loads the whole model; it serves hub ids, other formats, and checkpoints that transformers renames.
    """

    def __init__(self, model: str, empty: PreTrainedModel) -> None:
        self._model, self._empty = model, empty
        self._files: dict[str, Path] = {}
        index = Path(model) / "model.safetensors.index.json"
        files = set(json.loads(index.read_text())["weight_map"].values()) if index.exists() else {"model.safetensors"}
        for path in (Path(model) / file for file in sorted(files)):
            if path.exists():
                with safe_open(path, framework="pt") as opened:
                    self._files |= dict.fromkeys(opened.keys(), path)

    def read(self, name: str) -> torch.Tensor:
        """The tensor as float32; some checkpoints were saved without the model's head, so without its prefix."""
        prefix = f"{self._empty.base_model_prefix}."
        for stored in (name, name.removeprefix(prefix), prefix + name):
            if stored in self._files:
                with safe_open(self._files[stored], framework="pt") as opened:
                    return opened.get_tensor(stored).float()
        return self._loaded[name].float()

    @cached_property
    def _loaded(self) -> dict[str, torch.Tensor]:
        return type(self._empty).from_pretrained(self._model).state_dict()


def _name_of(model: PreTrainedModel, wanted: torch.nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


def _final_norm(model: PreTrainedModel) -> str | None:
    """The last norm that is not inside a numbered block, where there is one."""
    names = [
        name
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower() and not any(part.isdigit() for part in name.split("."))
    ]
    return names[-1] if names else None


def _measure_norm(model: PreTrainedModel, name: str, tensors: _Tensors) -> tuple[npt.NDArray[np.float32], bool]:
    """Scale [width] of a norm and whether it subtracts the mean, measured by applying it, so that every kind is right.

    On x with mean 0 and mean square 1 a norm is x -> scale * x + bias; (f(x) - f(-x)) / 2 leaves the scale.
    """
    norm = model.get_submodule(name)
    norm = norm.to_empty(device="cpu").float()
    norm.load_state_dict({key: tensors.read(f"{name}.{key}") for key in norm.state_dict()})
    width = next(iter(norm.state_dict().values())).shape[0]
    probe = torch.ones(width)
    probe[::2] = -1
    probe -= probe.mean()
    probe /= probe.square().mean().sqrt()
    with torch.no_grad():
        scale = (norm(probe) - norm(-probe)) / 2 / probe
        centres = bool(torch.allclose(norm(probe + 3), norm(probe), atol=1e-3))
    return scale.numpy(), centres
