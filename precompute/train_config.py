"""Settings of a training run; its fields are also the options of `loupe train`."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from json import dumps
from math import isfinite
from typing import Any

from loaders.errors import BadInput
from loaders.workspace import slug


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
    model: str = ""
    """Model to stream activations from (`minilm`, a hub id, a folder); empty: those that `loupe capture` saved."""
    trust_remote_code: bool = False
    """Run the Python code that comes with a streamed model; read it first."""
    buffer: int = 131_072
    """Rows of the shuffling buffer of streamed activations; more mix contexts better and take more memory."""
    architecture: str = "topk"
    """standard, topk, batch_topk, matryoshka, jumprelu or gated."""
    k: int = 32
    """Active latents per row of topk; on average of batch_topk and matryoshka."""
    expansion: int = 8
    """Features per dimension of the activations."""
    features: int = 0
    """Features of the SAE; 0 takes `expansion` times the width of the activations."""
    sparsity: float = 0.0
    """Coefficient of the sparsity loss of standard, gated and jumprelu; 0 takes the architecture's own."""
    bandwidth: float = 0.0
    """Width of jumprelu's kernel around the threshold; 0 takes the architecture's own."""
    levels: int = 5
    """Nested dictionaries of matryoshka, each twice as wide as the one before."""
    steps: int = 800
    """Optimiser steps."""
    batch: int = 2048
    """Rows per step, over all processes; 0 takes the largest power of two that `memory` allows."""
    memory: str = ""
    """Most memory of a process, such as `2GB`, from which a batch of 0 is chosen."""
    lr: float = 0.0
    """Peak learning rate of Adam: linear warm-up, a plateau, linear decay to zero. 0 takes `usual_rate`."""
    beta1: float = 0.7
    """Decay of Adam's mean of gradients."""
    beta2: float = 0.95
    """Decay of Adam's mean of squared gradients; short runs want it to forget soon."""
    warmup: float = 0.05
    """Share of the steps that the warm-up takes."""
    decay: float = 0.5
    """Share of the steps, the last ones, in which the learning rate decays; 1 decays from the first step on."""
    encoder_scale: float = 0.5
    """Norm of the encoder's rows before the first step, in wide SAEs a part of it; small ones let features find their
    directions sooner."""
    clip: float = 1.0
    """Gradient norm above which gradients are scaled down: a guard, many times what a healthy run shows."""
    dead_after: int = 25
    """Steps without firing after which a feature counts as dead while training."""
    aux_k: int = 0
    """Dead features that may describe what is left over of a row; 0 takes half the activations' width."""
    aux_weight: float = 1 / 32
    """Coefficient of that auxiliary loss, which revives dead features; 0 leaves it out."""
    device: str = "cpu"
    """Where it trains: cpu, cuda, cuda:<number>, mps, or auto for the fastest there is."""
    dtype: str = "auto"
    """Numbers of the top-k family's encoder product, which decides what is active: float32, bfloat16, or auto for the faster."""
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
    trackers: tuple[str, ...] = ()
    """Trackers beside metrics.jsonl and the catalog: tensorboard, mlflow, wandb."""


PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 300, "batch": 2048},
    "standard": {"steps": 800, "batch": 2048},
    "full": {"steps": 10_000, "batch": 4096, "expansion": 16, "warmup": 0.02, "evaluate_every": 500},
    "large_model": {
        "steps": 50_000,
        "batch": 8192,
        "expansion": 32,
        "k": 64,
        "warmup": 0.02,
        "dead_after": 1000,
        "buffer": 1_048_576,
        "device": "auto",
        "log_every": 50,
        "evaluate_every": 1000,
        "checkpoint_every": 1000,
    },
}
"""Settings by name: `quick` for a first look, `standard` for figures worth reporting, `full` for an SAE to keep,
`large_model` for wide activations on an accelerator."""

NARROW = 3072
"""Features of the SAEs that the usual settings were first found on; more of them want a smaller rate and a fainter beginning."""
NOT_FUNCTIONAL = {
    "trust_remote_code",
    "threads",
    "log_every",
    "evaluate_every",
    "checkpoint_every",
    "memory",
    "trackers",
}
"""Fields that change how a run is watched or how fast it is, not what it computes."""


def features_of(config: Config, width: int) -> int:
    """How many features the SAE has on activations of that width."""
    return config.features or config.expansion * width


def usual_rate(features: int, steps: int) -> float:
    """1e-2 for 3,072 features and 200 steps; less, by the square root, for more of either.

    Measured on activations of two widths after few steps: wider SAEs want a smaller rate, and in longer runs a large one
    leaves features dead, or diverges.
    """
    return 1e-2 * (max(features, NARROW) / NARROW * max(steps, 200) / 200) ** -0.5


def functional(config: Config) -> dict[str, Any]:
    """The fields that decide which SAE comes out."""
    return {name: value for name, value in asdict(config).items() if name not in NOT_FUNCTIONAL}


def run_id(config: Config) -> str:
    """Id of the run in the catalog: the SAE's id and eight digits over the functional fields, so a resume finds it again."""
    return f"{config.sae_id}-{sha256(dumps(functional(config), sort_keys=True).encode()).hexdigest()[:8]}"


def check(config: Config) -> None:
    """Raise BadInput for a setting that no run can have."""
    positive = ("k", "expansion", "levels", "steps", "dead_after", "log_every", "evaluate_every", "checkpoint_every")
    for name in (*positive, "buffer"):
        if getattr(config, name) < 1:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be at least 1.")
    for name in ("clip", "encoder_scale"):
        if not getattr(config, name) > 0:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be above 0.")
    for name in ("lr", "features", "sparsity", "bandwidth", "aux_k", "aux_weight", "batch"):
        if not getattr(config, name) >= 0:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be 0 or more.")
    for name in ("seed", "threads", "layer_index"):
        if getattr(config, name) < 0:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be 0 or more.")
    if slug(config.sae_id) != config.sae_id:
        raise BadInput(f"'{config.sae_id}' is no id for an SAE. Use '{slug(config.sae_id)}', for example.")
    for name, value in asdict(config).items():
        if isinstance(value, float) and not isfinite(value):
            raise BadInput(f"{name} is {value}; it must be a finite number.")
    for name in ("warmup", "decay"):
        if not 0 <= getattr(config, name) <= 1:
            raise BadInput(f"{name} is {getattr(config, name)}; it is a share of the steps, from 0 to 1.")
    for name in ("beta1", "beta2"):
        if not 0 <= getattr(config, name) < 1:
            raise BadInput(f"{name} is {getattr(config, name)}; it must be at least 0 and below 1.")
    if not config.batch and not config.memory:
        raise BadInput("A batch of 0 is chosen by a bound on memory: give --memory, such as 2GB, or a batch.")
