"""Train one SAE for every combination of settings from one stream of rows: a sweep costs one harvest."""

from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path

from catalog.catalog import Catalog
from loaders.errors import BadInput
from loaders.workspace import Workspace, slug
from precompute import train
from precompute.progress import Progress
from precompute.saes import BY_K

MOST = 64  # SAEs in memory at once


@dataclass(frozen=True)
class Config:
    """What is swept, and what all share."""

    prefix: str
    """Beginning of the SAEs' ids; what differs follows, such as `sweep-topk-k32`."""
    model_id: str
    """Id of the model."""
    dataset_id: str
    """Id of the dataset that it reads."""
    hooks: tuple[str, ...]
    """Hook points, all harvested in one pass."""
    architectures: tuple[str, ...] = ("topk",)
    """Architectures: standard, topk, batch_topk, matryoshka, jumprelu, gated."""
    ks: tuple[int, ...] = (32,)
    """Active latents per row of the top-k family."""
    sparsities: tuple[float, ...] = (0.0,)
    """Coefficients of the sparsity loss of the others; 0 takes the architecture's own."""
    expansions: tuple[int, ...] = (8,)
    """Features per dimension of the activations."""
    lrs: tuple[float, ...] = (0.0,)
    """Peak learning rates; 0 takes the usual one."""
    model: str = ""
    """Model to stream activations from; empty: those that `loupe capture` saved."""
    buffer: int = 131_072
    """Rows of the shuffling buffer of streamed activations."""
    steps: int = 800
    """Optimiser steps of each."""
    batch: int = 2048
    """Rows per step."""
    memory: str = ""
    """Most memory of a process, such as `2GB`, from which a batch of 0 is chosen, the same for all."""
    device: str = "cpu"
    """Where they train: cpu, cuda, cuda:<number>, mps, or auto."""
    seed: int = 0
    """Seed of everything that is drawn; the same rows in the same order for all."""
    threads: int = 0
    """Threads of torch; 0 takes what torch finds."""
    trackers: tuple[str, ...] = ()
    """Trackers beside metrics.jsonl and the catalog: tensorboard, mlflow, wandb."""


def run(config: Config, workspace: Workspace, progress: Progress, catalog: Catalog | None = None) -> Path:
    """Train all that are not finished yet and return the directory of SAEs; raises BadInput as `train.run` does."""
    train.run_together(plan(config), workspace, progress, catalog)
    return workspace.root / "saes"


def plan(config: Config) -> list[train.Config]:
    """One run for each combination: k matters to the top-k family, the sparsity's coefficient to the others.

    Raises BadInput for a sweep of nothing, or of too many SAEs to hold at once.
    """
    shared = {field.name for field in fields(train.Config)} & {field.name for field in fields(config)}
    base = train.Config(sae_id="", hook="", **{name: getattr(config, name) for name in shared})
    found: dict[str, train.Config] = {}
    combinations = product(
        config.hooks, config.architectures, config.ks, config.sparsities, config.expansions, config.lrs
    )
    for hook, architecture, k, sparsity, expansion, lr in combinations:
        by_k = architecture in BY_K
        words = [
            config.prefix,
            hook if len(config.hooks) > 1 else "",
            architecture,
            f"k{k}" if by_k else f"s{sparsity:g}",
        ]
        words += [f"x{expansion}" if len(config.expansions) > 1 else "", f"lr{lr:g}" if len(config.lrs) > 1 else ""]
        name = slug("-".join(word for word in words if word))
        changes = {"k": k} if by_k else {"sparsity": sparsity}
        found[name] = replace(
            base, sae_id=name, hook=hook, architecture=architecture, expansion=expansion, lr=lr, **changes
        )
    if not 0 < len(found) <= MOST:
        raise BadInput(f"The sweep has {len(found)} SAEs; wanted 1 to {MOST}. Give each list one value at least.")
    return list(found.values())
