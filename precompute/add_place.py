"""Where an SAE reads a model of ours, and what rows must go through there so that they are those it was trained on."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from loaders.errors import BadInput
from precompute.add_conventions import Conventions
from precompute.hook_names import FIRST_NORMS, Place, translate
from precompute.row_stages import CENTRE, STANDARDISE
from precompute.saes.sae import Sae


class Reading(NamedTuple):
    """`shift` [width], where there is one, is taken from the rows before anything else: value biases folded away.

    `name`: the hook point in the words of the SAE's metadata, or of the user.
    """

    place: Place
    stages: list[dict[str, Any]]
    shift: Tensor | None
    name: str


def plan_reading(model: nn.Module, conventions: Conventions, hook: str | None = None) -> Reading:
    """Translate the SAE's hook point (or `hook`, which the user names) and its processing of the model into stages.

    Raises BadInput for a hook point that is missing or cannot be translated.
    """
    title, name = conventions.found.name or conventions.found.path.name, hook or conventions.hook
    if name is None:
        raise BadInput(f"SAE '{title}' does not say which hook point it reads. Name it with --hook.")
    done = conventions.processing
    place = translate(model, name, "fold_ln" in done)
    if conventions.stages is not None:
        return Reading(place, list(conventions.stages), None, name)
    stages: list[dict[str, Any]] = []
    if place.norm is not None:
        stages.append(_standardise(model.get_submodule(place.norm)))
    if "center_writing_weights" in done and place.is_residual and _centres(model):
        stages.append({"stage": CENTRE})
    shift = value_bias(model, place.z_of, "fold_ln" in done) if place.z_of and "fold_value_biases" in done else None
    if conventions.row_norm is not None:
        if shift is not None:
            raise BadInput(
                f"SAE '{title}' normalises rows ({conventions.row_norm}) behind folded value biases, which Loupe does not"
                " compute together."
            )
        stages.append({"stage": conventions.row_norm})
    return Reading(place, stages, shift, name)


def take_shift(sae: Sae, shift: Tensor | None) -> Sae:
    """The SAE that reads and rebuilds x where `sae` did so with x - shift; exact, as every architecture reads x - b_dec."""
    return sae if shift is None else replace(sae, b_dec=sae.b_dec + shift)


@torch.no_grad()
def value_bias(model: nn.Module, attention: str, folds_norms: bool) -> Tensor:
    """What value biases add to the heads' values z [width]: attention weights sum to 1, so a bias of the values is one of z.

    TransformerLens's fold_value_biases moves it behind the output projection; with folded norms the norm's bias, as the
    values' weights see it, goes with it: b_V + W_V b_norm.
    """
    module: Any = model.get_submodule(attention)
    module = getattr(module, "attention", module)  # GPT-Neo's attention in its attention
    weight, bias = _value_projection(model, module)
    total = torch.zeros(weight.shape[0]) if bias is None else bias.float().cpu()
    norm = _first_norm(model, attention)
    if folds_norms and isinstance(norm, nn.LayerNorm) and norm.bias is not None:
        total = total + weight.float().cpu() @ norm.bias.float().cpu()
    heads = _heads(model)
    width = _z_width(module)
    per_head = total.reshape(-1, width // heads)  # (key-value heads, width of a head)
    return per_head.repeat_interleave(heads // len(per_head), 0).reshape(-1)


def _value_projection(model: nn.Module, attention: Any) -> tuple[Tensor, Tensor | None]:
    """Weight [values, width] and bias [values] of the values."""
    if hasattr(attention, "v_proj"):
        return attention.v_proj.weight, attention.v_proj.bias
    if hasattr(attention, "c_attn"):  # GPT-2: a Conv1D [width, 3 width] of queries, keys and values
        third = attention.c_attn.weight.shape[1] // 3
        return attention.c_attn.weight[:, 2 * third :].t(), attention.c_attn.bias[2 * third :]
    if hasattr(attention, "query_key_value"):  # GPT-NeoX: queries, keys and values of each head together
        joined = attention.query_key_value
        by_head = joined.weight.reshape(_heads(model), 3, -1, joined.weight.shape[1])[:, 2]
        bias = None if joined.bias is None else joined.bias.reshape(_heads(model), 3, -1)[:, 2].reshape(-1)
        return by_head.reshape(-1, joined.weight.shape[1]), bias
    raise BadInput(f"The values of {type(attention).__name__} cannot be found, so their biases cannot be folded away.")


def _z_width(attention: Any) -> int:
    for name in ("c_proj", "out_proj", "o_proj", "dense"):
        if hasattr(attention, name):
            weight: Tensor = getattr(attention, name).weight
            return int(weight.shape[0] if name == "c_proj" else weight.shape[1])  # GPT-2's Conv1D is [in, out]
    raise BadInput(f"The output projection of {type(attention).__name__} cannot be found.")


def _heads(model: nn.Module) -> int:
    config: Any = model.config
    return int(config.num_attention_heads)


def _first_norm(model: nn.Module, attention: str) -> nn.Module | None:
    block = model.get_submodule(attention.rpartition(".")[0])
    return next((getattr(block, name) for name in FIRST_NORMS if hasattr(block, name)), None)


def _standardise(norm: nn.Module) -> dict[str, Any]:
    is_layer = isinstance(norm, nn.LayerNorm)
    eps = next((getattr(norm, name) for name in ("eps", "variance_epsilon") if hasattr(norm, name)), None)
    if eps is None:
        raise BadInput(f"The epsilon of {type(norm).__name__} cannot be found, so its output cannot be repeated.")
    return {"stage": STANDARDISE, "by": "layer" if is_layer else "rms", "eps": float(eps)}


def _centres(model: nn.Module) -> bool:
    """Whether the model's norms subtract the mean; TransformerLens centres the weights of no other."""
    return not any("rms" in type(module).__name__.lower() for module in model.modules())
