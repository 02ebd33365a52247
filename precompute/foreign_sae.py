"""The record of an SAE of which only activations are known, so that its store can be built, opened and labelled."""

import hashlib
from typing import NamedTuple

from loaders.errors import BadInput
from loaders.faults import FOREIGN
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from precompute.publish import write_json

UNKNOWN = "unknown"
KEYS = {"model": "model_name", "hook": "hook_name", "set_id": "set", "layer_index": "layer_index"}  # in cfg.json


class Origin(NamedTuple):
    """What is known of the SAE; None where nobody said."""

    model: str | None
    hook: str | None
    set_id: str | None
    layer_index: int | None


def existing_sae(workspace: Workspace, sae_id: str, features: int, samples: int, origin: Origin) -> SaeRecord | None:
    """The SAE of that id, or None; raises BadInput where its features or its origin are others than those asked for."""
    directory = workspace.sae_dir(sae_id)
    if not (directory / "cfg.json").exists():
        return None
    record = SaeRecord.open(directory)
    width = record.cfg.get("d_sae")
    if width != features:
        swapped = " Rows must be samples: features and samples look swapped." if width == samples else ""
        raise BadInput(
            f"SAE '{sae_id}' has {width} features, the activations have {features:,}.{swapped} Choose another SAE id, or the"
            " right files."
        )
    for option, value in origin._asdict().items():
        known = record.metadata.get(KEYS[option])
        if value is not None and value != known:
            raise BadInput(
                f"SAE '{sae_id}' exists with {KEYS[option]} '{known}', not '{value}'. Leave the option out, or choose"
                " another SAE id."
            )
    return record


def write_sae_record(
    workspace: Workspace, sae_id: str, features: int, content: str, origin: Origin, dataset_id: str
) -> SaeRecord:
    """Write cfg.json of an SAE of which only activations are known; `content` is the sha256 of those.

    SAEs whose model was named alike share the model's fingerprint, so that their layers can be matched.
    """
    model = f"named {origin.model}" if origin.model else f"of the SAE {content}"
    metadata = {
        "model_name": origin.model or UNKNOWN,
        "model_id": origin.model or UNKNOWN,
        "hook_name": origin.hook or UNKNOWN,
        "set": origin.set_id,
        "layer_index": origin.layer_index or 0,
        "dataset": dataset_id,
        "quality": {},
        "fingerprints": {"model": hashlib.sha256(f"a model {model}".encode()).hexdigest(), "sae": content},
    }
    directory = workspace.sae_dir(sae_id)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "cfg.json", {"architecture": FOREIGN, "d_sae": features, "metadata": metadata})
    return SaeRecord.open(directory)
