"""Step `loss-recovered`: measure a finished SAE on the model that it belongs to; hands on `loss_recovered.json` beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.capture import check_dataset
from precompute.loss_recovered import held_out_contexts, keep, measure_loss_recovered
from precompute.models import load_model
from precompute.progress import Progress
from precompute.row_stages import STANDARDISE, RowStages
from precompute.sae_files import load_sae


@dataclass(frozen=True)
class Config:
    """Which SAE, on what; what is not named is what the SAE's own metadata says."""

    sae: str
    """Id of a finished SAE."""
    dataset: str = ""
    """Id of the dataset."""
    model: str = ""
    """A hub id, a folder, or a name in the workspace's models/."""
    hook: str = ""
    """Hook point."""
    contexts: int = 256
    """Most held-out contexts."""
    batch_tokens: int = 1024
    """Most tokens at once."""
    device: str = "cpu"
    """Where the model runs."""
    dtype: str = "float32"
    """Numbers that it computes in."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model."""


def run(config: Config, workspace: Workspace, progress: Progress) -> dict[str, Any] | None:
    """Measure and keep; None for a model without an output head, for which nothing is defined.

    Raises BadInput for what is neither named nor known, and where SAE, model and dataset do not belong together.
    """
    if config.batch_tokens < 1:
        raise BadInput(f"--batch-tokens must be at least 1: found {config.batch_tokens}.")
    sae, cfg = load_sae(workspace.sae_dir(config.sae))
    about = cfg.get("metadata") or {}
    own = workspace.models_dir() / str(about.get("model_id") or "")
    recorded = str(own) if about.get("model_id") and (own / "config.json").is_file() else about.get("model_name")
    name = _named(config.model, recorded, "--model", config.sae)
    if "/" not in name and not Path(name).is_dir() and (workspace.models_dir() / name / "config.json").is_file():
        name = str(workspace.models_dir() / name)
    dataset = workspace.dataset(_named(config.dataset, about.get("dataset"), "--dataset", config.sae))
    hook = _named(config.hook, about.get("hook_name"), "--hook", config.sae)
    stages = RowStages.of(about)
    if any(stage["stage"] == STANDARDISE for stage in stages.stages):
        raise BadInput(f"SAE '{config.sae}' rebuilds standardised rows, which cannot be put back into the model.")
    contexts = held_out_contexts(dataset, config.contexts)
    loaded = load_model(name, config.device, config.dtype, config.trust_remote_code)
    known = about.get("fingerprints") or {}
    if known.get("model", loaded.fingerprint) != loaded.fingerprint:
        raise BadInput(
            f"SAE '{config.sae}' belongs to another model than '{loaded.model_id}' (other weights). Name its own: --model."
        )
    check_dataset(dataset, loaded)
    found = measure_loss_recovered(loaded, hook, sae, dataset, contexts, config.batch_tokens, progress, stages)
    if found is None:
        return None
    measured = {
        "sae": config.sae,
        "model": loaded.model_id,
        "dataset": dataset.id,
        "hook": hook,
        "fingerprints": {"sae": known.get("sae"), "model": loaded.fingerprint, "dataset": dataset.fingerprint},
    }
    keep(workspace.sae_dir(config.sae), found, measured)
    return {**measured, **found._asdict()}


def _named(given: str | None, known: Any, option: str, sae: str) -> str:
    if given or (known and known != "unknown"):
        return given or str(known)
    raise BadInput(f"SAE '{sae}' does not say its {option.removeprefix('--')}. Give {option}.")
