"""The bundle's rows by their field names, as Neuronpedia's database has them, and what ids and paths may look like."""

import re
from typing import Any

from loaders.errors import BadInput

ROWS_PER_BATCH = 1024
BATCH = re.compile(r"batch-(\d{1,9})\.jsonl(\.gz)?")
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

FEATURE: dict[str, Any] = {  # field: what it holds where nothing is known
    "modelId": None,
    "layer": None,
    "index": None,
    "creatorId": None,
    "createdAt": None,
    "maxActApprox": 0.0,
    "hasVector": False,
    "vector": [],
    "vectorLabel": None,
    "vectorDefaultSteerStrength": None,
    "hookName": None,
    "topkCosSimIndices": [],
    "topkCosSimValues": [],
    "neuron_alignment_indices": [],
    "neuron_alignment_values": [],
    "neuron_alignment_l1": [],
    "correlated_neurons_indices": [],
    "correlated_neurons_pearson": [],
    "correlated_neurons_l1": [],
    "correlated_features_indices": [],
    "correlated_features_pearson": [],
    "correlated_features_l1": [],
    "neg_str": [],
    "neg_values": [],
    "pos_str": [],
    "pos_values": [],
    "frac_nonzero": 0.0,
    "freq_hist_data_bar_heights": [],
    "freq_hist_data_bar_values": [],
    "logits_hist_data_bar_heights": [],
    "logits_hist_data_bar_values": [],
    "decoder_weights_dist": [],
    "sourceSetName": None,
}
ACTIVATION: dict[str, Any] = {
    "id": None,
    "tokens": [],
    "index": None,
    "layer": None,
    "modelId": None,
    "maxValue": None,
    "maxValueTokenIndex": None,
    "minValue": None,
    "values": [],
    "creatorId": None,
    "dataSource": None,
    "dataIndex": None,
    "dfaValues": [],
    "dfaTargetIndex": None,
    "dfaMaxValue": None,
    "createdAt": None,
    "lossValues": [],
    "logitContributions": None,
    "binMin": None,
    "binMax": None,
    "binContains": None,
    "qualifyingTokenIndex": None,
}
NEEDED = {  # without these a row says nothing
    "features": (
        "modelId",
        "layer",
        "index",
        "frac_nonzero",
        "freq_hist_data_bar_heights",
        "freq_hist_data_bar_values",
    ),
    "activations": ("id", "tokens", "index", "layer", "modelId", "maxValue", "maxValueTokenIndex", "values"),
    "explanations": ("id", "modelId", "layer", "index", "description"),
}
TOP = -1.0
"""`binMin` and `binContains` of the strongest contexts, which are of no bin."""

HOOKS = (  # TransformerLens's name of what a block hands on, of models whose blocks add to one residual stream
    (re.compile(r"(?:transformer\.h|model\.layers|gpt_neox\.layers)\.(\d+)"), "blocks.{}.hook_resid_post"),
    (re.compile(r"transformer\.h\.(\d+)\.mlp"), "blocks.{}.hook_mlp_out"),
    (re.compile(r"transformer\.h\.(\d+)\.attn"), "blocks.{}.hook_attn_out"),
)


def row_of(fields: dict[str, Any], **known: Any) -> dict[str, Any]:
    """A row with every field in order; raises KeyError for a field that the format does not have."""
    if unknown := sorted(known.keys() - fields.keys()):
        raise KeyError(f"The format has no field {', '.join(unknown)}.")
    return {**fields, **known}


def require_name(what: str, name: str) -> str:
    """Raise BadInput for a name that cannot be part of a path."""
    if not NAME.fullmatch(name):
        raise BadInput(f"The {what} {name[:80]!r} cannot name a folder: use letters, digits, '.', '_' and '-'.")
    return name


def hook_name(hook: str) -> str | None:
    """TransformerLens's name of a hook point, or None where it has no exact counterpart."""
    for pattern, name in HOOKS:
        if found := pattern.fullmatch(hook):
            return name.format(found[1])
    return None


def short(value: float) -> float:
    """A float32 as the float of nine digits that reads back as the same float32."""
    return float(f"{value:.9g}")
