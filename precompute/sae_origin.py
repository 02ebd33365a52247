"""Where an added SAE came from, and how its place is named there: TransformerLens's words for a model of SAELens."""

import re
from typing import Any

ORIGIN = "origin"  # in the SAE's metadata
PROCESSING = "model_from_pretrained_kwargs"  # of SAELens's metadata: what was done to the model's weights
VALUE_BIASES = "fold_value_biases"
LENS_PLACE = re.compile(r"blocks\.\d+\.[\w.]+|hook_\w+|ln_final\.hook_\w+")
TRANSFORMER_LENS = "HookedTransformer"


def lens_name(metadata: dict[str, Any]) -> str | None:
    """TransformerLens's name of the hook point that an added SAE reads; None where it came without one."""
    origin = metadata.get(ORIGIN)
    if not isinstance(origin, dict) or origin.get("reads") != metadata.get("hook_name"):
        return None
    name, wrapper = origin.get("hook"), metadata.get("model_class_name") or TRANSFORMER_LENS
    is_lens = isinstance(name, str) and LENS_PLACE.fullmatch(name) and wrapper == TRANSFORMER_LENS
    return str(name) if is_lens else None


def named_there(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata with model and hook point as SAELens knows them, and without processing that the weights hold already:
    values' biases are in b_dec, so that it reads the heads of a model that keeps them."""
    name = lens_name(metadata)
    if name is None:
        return metadata
    asked = metadata.get(PROCESSING)
    kept = {key: value for key, value in asked.items() if key != VALUE_BIASES} if isinstance(asked, dict) else {}
    return {
        **metadata,
        "hook_name": name,
        "model_name": metadata[ORIGIN].get("model") or metadata.get("model_name"),
        **({PROCESSING: kept} if PROCESSING in metadata else {}),
    }


def hook_here(metadata: dict[str, Any]) -> str | None:
    """The hook point in Loupe's words, of metadata that `named_there` may have gone over."""
    origin, name = metadata.get(ORIGIN), metadata.get("hook_name")
    if isinstance(origin, dict) and isinstance(origin.get("reads"), str) and origin.get("hook") == name:
        return str(origin["reads"])
    return name if isinstance(name, str) else None
