"""Settings of a training run; its fields are also the options of `loupe train`."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from loaders.errors import BadInput
from precompute.saes import ARCHITECTURES


@dataclass(frozen=True)
class Config:
    """Settings of one training run."""

    sae_id: str
    """Id of the SAE, a slug such as `minilm-l3`."""
    model_id: str
    """Id of the model whose activations were captured."""
    dataset_id: str
    """Id of the dataset that the model read."""
    hook: str
    """Hook point of the activations, e.g. `encoder.layer.3`."""
    set_id: str = ""
    """Set that the SAE belongs to; empty for an SAE that stands alone."""
    layer_index: int = 0
    """Place in the set, from the model's input to its output."""
    architecture: str = "topk"
    """Name in `precompute.saes.ARCHITECTURES`."""
    k: int = 32
    """Active latents per row."""
    expansion: int = 8
    """Features per dimension of the activations."""
    steps: int = 800
    """Optimiser steps."""
    batch: int = 2048
    """Rows per step."""
    lr: float = 4e-3
    """Peak learning rate of Adam: linear warm-up, then linear decay to zero."""
    warmup: float = 0.05
    """Share of the steps that the warm-up takes."""
    clip: float = 1.0
    """Gradient norm above which gradients are scaled down: a guard, many times what a healthy run shows."""
    dead_after: int = 100
    """Steps without firing after which a feature counts as dead while training."""
    seed: int = 0
    """Seed of the initial weights, the order of the rows and everything else that is drawn."""
    threads: int = 0
    """Threads of torch; 0 takes what torch finds. Recorded, and kept by a resumed run."""
    log_every: int = 10
    """Steps between two rows of metrics.jsonl."""
    evaluate_every: int = 100
    """Steps between two measurements on held-out rows."""
    checkpoint_every: int = 200
    """Steps between two checkpoints."""


PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 300, "batch": 2048},
    "standard": {"steps": 800, "batch": 2048},
}
"""Settings by name: `quick` for a first look, `standard` for figures worth reporting."""

NOT_FUNCTIONAL = {"threads", "log_every", "evaluate_every", "checkpoint_every"}
"""Fields that change how a run is watched or how fast it is, not what it computes."""


def functional(config: Config) -> dict[str, Any]:
    """The fields that decide which SAE comes out."""
    return {name: value for name, value in asdict(config).items() if name not in NOT_FUNCTIONAL}


def run_id(config: Config) -> str:
    """Id of the run in the catalog: the SAE's id and eight digits over the functional fields, so a resume finds it again."""
    return f"{config.sae_id}-{sha256(dumps(functional(config), sort_keys=True).encode()).hexdigest()[:8]}"


def check(config: Config) -> None:
    """Raise BadInput for a setting that no run can have."""
    if config.architecture not in ARCHITECTURES:
        raise BadInput(
            f"Architecture '{config.architecture}' is unknown. Choose one of {', '.join(sorted(ARCHITECTURES))}."
        )
    whole = ("k", "expansion", "steps", "batch", "dead_after", "log_every", "evaluate_every", "checkpoint_every")
    for name in whole:
        if getattr(config, name) < 1:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be at least 1.")
    for name in ("lr", "clip"):
        if not getattr(config, name) > 0:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be above 0.")
    if not 0 <= config.warmup <= 1:
        raise BadInput(f"warmup is {config.warmup}; it is a share of the steps, from 0 to 1.")
