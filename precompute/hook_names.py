"""Names that other libraries give to places in a model, translated to a module of it and its input or output.

TransformerLens's names (`blocks.8.hook_resid_pre`) are found by the structure of the model's blocks, so that they work for
GPT-2, GPT-Neo(X), GPT-J, Llama, Mistral, Qwen, Gemma, Phi, OPT and what is built like them; sparsify's (`layers.5`,
`h.5.mlp`) are modules of the model without its head; dictionary_learning's (`resid_post_layer_8`) are words and a number."""

import difflib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import nn

from loaders.errors import BadInput
from precompute.capture import INPUT, place_of

Modules = dict[str, nn.Module]

ATTENTIONS = ("attn", "attention", "self_attn")
Z_PROJECTIONS = (
    "attn.c_proj",
    "attn.attention.out_proj",
    "attn.out_proj",
    "attention.dense",
    "self_attn.o_proj",
    "self_attn.dense",
    "self_attn.out_proj",
)
FIRST_NORMS = ("ln_1", "input_layernorm", "self_attn_layer_norm")
SECOND_NORMS = ("pre_feedforward_layernorm", "ln_2", "post_attention_layernorm", "final_layer_norm")
MLPS = ("mlp", "fc2")
INTO_MLP = ("mlp.gate_proj", "mlp.c_fc", "mlp.dense_h_to_4h", "mlp.fc_in", "mlp.fc1", "fc1")
OUT_OF_MLP = ("mlp.c_proj", "mlp.down_proj", "mlp.dense_4h_to_h", "mlp.fc_out", "mlp.fc2", "fc2")
WORDS = ("wte", "embed_tokens", "embed_in")
POSITIONS = ("wpe", "embed_positions")
LAST_NORMS = ("ln_f", "norm", "final_layer_norm", "final_layernorm")
PLAIN = {  # words of dictionary_learning and others for TransformerLens's places
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "resid": "hook_resid_post",
    "residual": "hook_resid_post",
    "res": "hook_resid_post",
    "mlp_out": "hook_mlp_out",
    "mlp": "hook_mlp_out",
    "attn_out": "hook_attn_out",
    "attention_out": "hook_attn_out",
    "attn": "hook_attn_out",
    "attention": "hook_attn_out",
}


class Place(NamedTuple):
    """Where to capture: `hook` is a module's name, with `.input` behind it for what that module receives."""

    hook: str
    layer: int | None = None  # number of the block
    is_residual: bool = False  # whether it is the residual stream or a part added to it, which centred weights change
    z_of: str | None = None  # the attention module whose heads' values it holds, before their output projection
    norm: str | None = None  # the norm whose input it is, of which only the standardised value is meant


def translate(model: nn.Module, name: str, folds_norms: bool = False) -> Place:
    """The place in `model` that `name` means; `folds_norms`: the norms' weights were folded away (TransformerLens's fold_ln).

    Raises BadInput, with the nearest names, for one that cannot be translated or does not exist in this model.
    """
    modules = {module_name: module for module_name, module in model.named_modules() if module_name}
    known = places(model, modules, folds_norms)
    words = _plain_words(name)
    if words in known:
        return known[words]
    plain = name.removesuffix(".output")
    inputs = INPUT if plain.endswith(INPUT) and plain not in modules else ""
    inner = [found for found in modules if f".{found}".endswith(f".{plain.removesuffix(inputs)}")]
    exact = plain.removesuffix(inputs)
    if exact in inner or len(inner) == 1:
        return _own(model, (exact if exact in inner else inner[0]) + inputs, known)
    nearest = difflib.get_close_matches(words, [*known, *modules], n=4, cutoff=0.4) or [*known, *modules][:4]
    raise BadInput(
        f"Hook point '{name}' cannot be found in {type(model).__name__}. Nearest names: {', '.join(nearest)}. Name the right"
        " one with --hook."
    )


def places(model: nn.Module, modules: Modules, folds_norms: bool) -> dict[str, Place]:
    """Every place that has a name in TransformerLens and exists in this model, in the model's order."""
    blocks = find_blocks(modules)
    if blocks is None:
        return {}
    stem = blocks.rpartition(".")[0]
    numbers = sorted(
        int(name.rpartition(".")[2]) for name in modules if re.fullmatch(rf"{re.escape(blocks)}\.\d+", name)
    )
    found = dict(_embedding(modules, stem, f"{blocks}.{numbers[0]}"))
    for layer in numbers:
        for name, place in _of_block(model, modules, f"{blocks}.{layer}", layer, folds_norms):
            found[f"blocks.{layer}.{name}"] = place
    if last := _first(modules, stem, LAST_NORMS):
        found["ln_final.hook_normalized"] = _normalised(modules, last, None, folds_norms)
    return found


def depths(model: nn.Module) -> Callable[[Place], float]:
    """How far from the input a place of the model lies, to sort by."""
    modules = {name: module for name, module in model.named_modules() if name}
    known = list(places(model, modules, folds_norms=False).values())
    by_hook = {place.hook: float(number) for number, place in reversed(list(enumerate(known)))}
    starts = {place.layer: by_hook[place.hook] for place in reversed(known)}

    def depth(place: Place) -> float:
        if place.norm is not None:  # the norm's input, taken for its output
            return by_hook.get(place.norm, by_hook.get(place.hook, 0.0))
        return by_hook.get(place.hook, starts.get(place.layer, float(place.layer or 0)) + 0.5)

    return depth


def find_blocks(modules: Modules) -> str | None:
    """The name of the list of blocks that begin with a norm; None where there is none, as in post-norm encoders."""
    lists = [name for name, module in modules.items() if isinstance(module, nn.ModuleList) and f"{name}.0" in modules]
    return next((name for name in lists if _first(modules, f"{name}.0", FIRST_NORMS)), None)


def runs_in_parallel(model: nn.Module) -> bool:
    """Whether attention and MLP of a GPT-NeoX both read the block's input, so that nothing lies between them."""
    return bool(getattr(getattr(model, "config", None), "use_parallel_residual", False))


def _embedding(modules: Modules, stem: str, first_block: str) -> Iterator[tuple[str, Place]]:
    words = _first(modules, stem, WORDS)
    if words is None:
        return
    has_positions = _first(modules, stem, POSITIONS) is not None
    # without learned positions the first block receives the embedding, any factor on it included (Gemma's sqrt(width))
    yield "hook_embed", Place(words if has_positions else first_block + INPUT, is_residual=True)


def _of_block(
    model: nn.Module, modules: Modules, block: str, layer: int, folds_norms: bool
) -> Iterator[tuple[str, Place]]:
    first, second = _first(modules, block, FIRST_NORMS), _first(modules, block, SECOND_NORMS)
    sandwiched = f"{block}.pre_feedforward_layernorm" in modules  # Gemma 2 and 3: a norm behind attention and MLP too
    attention, mlp = _first(modules, block, ATTENTIONS), _first(modules, block, MLPS)
    z, into, out_of = (_first(modules, block, names) for names in (Z_PROJECTIONS, INTO_MLP, OUT_OF_MLP))
    yield "hook_resid_pre", Place(block + INPUT, layer, is_residual=True)
    if first:
        yield "ln1.hook_normalized", _normalised(modules, first, layer, folds_norms)
    if z:
        place = Place(z + INPUT, layer, z_of=attention)
        yield "attn.hook_z", place
        yield "hook_z", place
    if attention:
        behind = f"{block}.post_attention_layernorm" if sandwiched else attention
        yield "hook_attn_out", Place(behind, layer, is_residual=True)
    if second and not runs_in_parallel(model):
        yield "hook_resid_mid", Place(second + INPUT, layer, is_residual=True)
    if second:
        yield "ln2.hook_normalized", _normalised(modules, second, layer, folds_norms)
    if into:
        yield "mlp.hook_pre", Place(into, layer)
    if out_of:
        yield "mlp.hook_post", Place(out_of + INPUT, layer)
    if mlp:
        yield (
            "hook_mlp_out",
            Place(f"{block}.post_feedforward_layernorm" if sandwiched else mlp, layer, is_residual=True),
        )
    yield "hook_resid_post", Place(block, layer, is_residual=True)


def _normalised(modules: Modules, norm: str, layer: int | None, folds_norms: bool) -> Place:
    """A layer norm's output; of folded norms, and of RMS norms, what it is before the norm's own weights."""
    if isinstance(modules[norm], nn.LayerNorm) and not folds_norms:
        return Place(norm, layer)
    return Place(norm + INPUT, layer, norm=norm)


def _first(modules: Modules, parent: str, names: tuple[str, ...]) -> str | None:
    full = (f"{parent}.{name}" if parent else name for name in names)
    return next((name for name in full if name in modules), None)


def _own(model: nn.Module, name: str, known: dict[str, Place]) -> Place:
    """A module of the model; what a TransformerLens name also means keeps what is known of it."""
    module, is_input = place_of(model, name)
    hook = module + INPUT if is_input else module
    same = next((place for place in known.values() if place.hook == hook and place.norm is None), None)
    number = re.search(r"\.(\d+)(\.|$)", f".{module}")
    return same or Place(hook, int(number[1]) if number else None)


def _plain_words(name: str) -> str:
    """`blocks.8.hook_resid_post` for `resid_post_layer_8`, `resid_post_layer8` or `resid_post.8`; else the name itself."""
    found = re.fullmatch(r"([a-z_]+?)(?:_layer|\.layer)?[_.]?(\d+)", name)
    return f"blocks.{int(found[2])}.{PLAIN[found[1]]}" if found and found[1] in PLAIN else name
