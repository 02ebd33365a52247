"""Step `capture`: run a model over a dataset once and keep what its hook points hand on, as shards of rows per hook."""

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.manifest import NAME as MANIFEST
from loaders.manifest import file_sha256, is_published, read_manifest
from loaders.schema import SCHEMA_VERSION
from loaders.workspace import Workspace
from precompute.batches import Shard, locate_rows, pad, plan_batches, plan_shards
from precompute.devices import dtype_name
from precompute.disk import require_space, write_whole
from precompute.hooks import run_until_captured
from precompute.models import LoadedModel, hook_points, load_model, resolve_hook
from precompute.passes import Passes
from precompute.progress import Progress, Step
from precompute.vocabulary import tokenizer_info

PLAN = "plan.json"
PASS = {"computed_on": "cpu", "computed_in": "float32", "trust_remote_code": False}
"""How the model ran, by the manifest's keys; what manifests without them mean."""
KEPT_AS = ("float16", "float32")
INPUT = ".input"  # behind a hook point's name: what the module receives


@dataclass(frozen=True)
class Config:
    """Which activations to keep."""

    model: str = "minilm"
    """Model to run: `minilm`, a local folder or a hub id."""

    dataset: str = "docs"
    """Dataset of the workspace that it reads."""

    hooks: tuple[str, ...] = ("encoder.layer.1", "encoder.layer.3", "encoder.layer.5")
    """Hook points, all captured in one pass over the dataset; `<hook>.input` for what a module receives."""

    inputs: bool = False
    """Capture what the modules receive instead of what they hand on; kept under `<hook>.input`."""

    batch_tokens: int = 1024
    """Most tokens of a batch, padding included; a single longer context is a batch of its own."""

    shard_samples: int = 32_768
    """Most samples of a shard, the unit that a stopped run resumes at."""

    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:<number>, mps, or auto for the fastest there is."""

    dtype: str = "float32"
    """Numbers that the model computes in: float32, bfloat16 or float16."""

    kept_as: str = "float16"
    """Numbers that activations are kept in: float16, or float32 for twice the space."""

    trust_remote_code: bool = False
    """Run the Python code that comes with a model; read it first."""


class Target(NamedTuple):
    """One hook point on its way to disk."""

    hook: str  # as it is asked for, `.input` included
    module: str
    inputs: bool
    width: int
    directory: Path
    plan: dict[str, Any]


def run(config: Config, workspace: Workspace, progress: Progress, loaded: LoadedModel | None = None) -> Path:
    """Write `<hook>/` below `activations/<model>/<dataset>/`, the returned directory, for every hook point that is not
    finished yet, in one pass.

    Row i of every hook is sample i of the dataset. `loaded` saves loading the model again. Finished shards of a stopped
    run are kept, and the result is the same to the byte. Raises BadInput for an unknown hook point, a context longer than
    the model's limit, tokens of another tokenizer, too little disk space, an absent device, values that float16 cannot
    hold, and activations that were begun on another kind of device, in other numbers or with other trust.
    """
    if not config.hooks:
        raise BadInput("No hook point was given to capture. Name at least one, e.g. encoder.layer.3.")
    if config.kept_as not in KEPT_AS:
        raise BadInput(f"Activations can be kept as {' or '.join(KEPT_AS)}, not as '{config.kept_as}'.")
    dataset = workspace.dataset(config.dataset)
    loaded = loaded or load_model(config.model, config.device, config.dtype, config.trust_remote_code)
    check_dataset(dataset, loaded)
    targets = find_targets(config, workspace, dataset, loaded)
    for target in targets:
        require_same_pass(target)
    unfinished = [target for target in targets if not is_finished(target)]
    if unfinished:
        needed = sum(len(dataset.samples) * target.width * np.dtype(config.kept_as).itemsize for target in unfinished)
        require_space(unfinished[0].directory, needed, f"the activations of {len(unfinished)} hook points")
        capture(config, dataset, loaded, unfinished, progress)
    return targets[0].directory.parent


def check_dataset(dataset: Dataset, loaded: LoadedModel) -> None:
    """Raise BadInput unless the model can read the dataset's tokens."""
    longest = int(np.diff(dataset.offsets).max())
    if longest > loaded.max_length:
        raise BadInput(
            f"Dataset '{dataset.id}' has contexts of {longest:,} tokens; model '{loaded.model_id}' reads at most"
            f" {loaded.max_length:,}. Build the dataset with a context length of {loaded.max_length:,} or less."
        )
    made_by = dataset.manifest["tokenizer"]
    if loaded.tokenizer is not None:
        own = tokenizer_info(loaded.tokenizer, loaded.name)
        if own["fingerprint"] != made_by["fingerprint"]:
            raise BadInput(
                f"Dataset '{dataset.id}' holds tokens of '{made_by['name']}', which model '{loaded.model_id}' does not share."
                f" Build a dataset with the tokenizer of '{loaded.model_id}'."
            )
    known = next(loaded.model.get_input_embeddings().parameters()).shape[0]
    if int(dataset.tokens.max()) >= known:
        raise BadInput(
            f"Dataset '{dataset.id}' has the token id {int(dataset.tokens.max())}; model '{loaded.model_id}' knows ids below"
            f" {known}. Build a dataset with the model's own tokenizer."
        )


def find_targets(config: Config, workspace: Workspace, dataset: Dataset, loaded: LoadedModel) -> list[Target]:
    """The hook points with their widths; raises BadInput for one that does not exist or hands on no hidden states."""
    places = [place_of(loaded.model, hook, config.inputs) for hook in config.hooks]
    widths = {
        inputs: {point.name: point.width for point in hook_points(loaded.model, inputs=inputs)}
        for inputs in {inputs for _, inputs in places}
    }
    targets = []
    for hook, inputs in places:
        if hook not in widths[inputs]:
            raise BadInput(
                f"Hook point '{hook}' of model '{loaded.model_id}' has no hidden states (batch, position, width) to capture."
                f" Choose another, e.g. {', '.join(list(widths[inputs])[:3])}."
            )
        plan = {
            "schema_version": SCHEMA_VERSION,
            "kind": "activations",
            "model": loaded.name,
            "model_id": loaded.model_id,
            "dataset": dataset.id,
            "hook": hook,
            "inputs": inputs,
            "width": widths[inputs][hook],
            "rows": len(dataset.samples),
            "dtype": config.kept_as,
            "batch_tokens": config.batch_tokens,
            "shard_samples": config.shard_samples,
            "fingerprints": {"model": loaded.fingerprint, "dataset": dataset.fingerprint},
            "computed_on": loaded.model.device.type,
            "computed_in": dtype_name(loaded.model.dtype),
            "trust_remote_code": config.trust_remote_code,
        }
        name = hook + INPUT if inputs else hook
        directory = workspace.activations_dir(loaded.model_id, dataset.id, name)
        targets.append(Target(name, hook, inputs, widths[inputs][hook], directory, plan))
    return targets


def place_of(model: nn.Module, hook: str, inputs: bool = False) -> tuple[str, bool]:
    """The module that a hook point names, and whether what it receives is meant; raises BadInput with the nearest names."""
    module = hook.removesuffix(INPUT)
    if module != hook and hook not in dict(model.named_modules()):
        hook, inputs = module, True
    resolve_hook(model, hook)
    return hook, inputs


def require_same_pass(target: Target) -> None:
    """Raise BadInput when activations of this model and dataset were begun or finished by a pass of another kind."""
    finished = is_published(target.directory)
    made = PASS | (read_manifest(target.directory, "activations") if finished else read_plan(target.directory))
    if made.get("fingerprints") != target.plan["fingerprints"]:
        return
    other = [f"{key} {made[key]} instead of {target.plan[key]}" for key in PASS if made[key] != target.plan[key]]
    if other:
        raise BadInput(
            f"The activations at '{target.directory}' were made with {', '.join(other)}. Ask for the same again, or delete"
            " them."
        )


def read_plan(directory: Path) -> dict[str, Any]:
    """The plan of the run that began the directory; {} where there is none that can be read."""
    try:
        plan = json.loads((directory / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}


def is_finished(target: Target) -> bool:
    """True when the very same activations are complete; those of another model or dataset are not the same."""
    if not is_published(target.directory):
        return False
    manifest = read_manifest(target.directory, "activations")
    return all(manifest.get(key) == target.plan[key] for key in ("hook", "inputs", "rows", "width", "fingerprints"))


def capture(config: Config, dataset: Dataset, loaded: LoadedModel, targets: list[Target], progress: Progress) -> None:
    """Write the missing shards of all targets, then their manifests."""
    for target in targets:
        prepare(target)
    shards = list(plan_shards(np.asarray(dataset.sample_offsets), config.shard_samples))
    hashes: dict[Path, str] = {}
    with progress.step(f"capture {dataset.id}", total=len(dataset.samples), unit="tokens") as bar:
        for shard in shards:
            missing = [target for target in targets if not (target.directory / shard.file).exists()]
            if missing:
                arrays = read_shard(config, dataset, loaded, missing, shard, bar)
                for target, rows in zip(missing, arrays, strict=True):
                    hashes[target.directory / shard.file] = write_shard(target.directory / shard.file, rows)
            else:
                bar.skip(shard.rows)
    for target in targets:
        publish(target, shards, hashes)


def prepare(target: Target) -> None:
    """Make the directory, keeping the shards of a stopped run with the same plan and nothing of any other."""
    if PASS | read_plan(target.directory) == target.plan:
        return
    shutil.rmtree(target.directory, ignore_errors=True)
    target.directory.mkdir(parents=True)
    write_whole(target.directory / PLAN, json.dumps(target.plan, indent=2).encode())


def read_shard(
    config: Config, dataset: Dataset, loaded: LoadedModel, targets: list[Target], shard: Shard, bar: Step
) -> list[np.ndarray]:
    """Run the model over a shard's contexts; returns the activations of every target, (rows, width) as they are kept."""
    arrays = [np.empty((shard.rows, target.width), dtype=config.kept_as) for target in targets]
    received = {target.hook for target in targets if target.inputs}
    offsets = np.asarray(dataset.offsets[shard.first : shard.stop + 1])

    def read(model: nn.Module, batch: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        modules = {target.hook: model.get_submodule(target.module) for target in targets}
        tokens, mask = pad(dataset, offsets, batch)
        device = loaded.model.device
        captured = run_until_captured(
            model, modules, received, input_ids=tokens.to(device), attention_mask=mask.to(device)
        )
        rows, contexts, positions = locate_rows(dataset, shard, offsets, batch)
        return rows, [to_kept(captured[hook][contexts, positions], hook, config.kept_as) for hook in modules]

    with Passes(loaded.model, read) as passes:
        for rows, parts in passes.map(plan_batches(np.diff(offsets), config.batch_tokens)):
            for array, part in zip(arrays, parts, strict=True):
                array[rows] = part
            bar.advance(len(rows))
    return arrays


def to_kept(hidden: torch.Tensor, hook: str, kept_as: str) -> np.ndarray:
    """Hidden states (samples, width) as kept; raises BadInput for values that those numbers cannot hold."""
    largest, end = float(hidden.abs().max()), float(np.finfo(kept_as).max)
    if not largest <= end:
        raise BadInput(
            f"Hook point '{hook}' reaches {largest:.3g}, but activations are kept as {kept_as}, which ends at {end:,.0f}."
            " Capture behind a normalisation layer instead, or keep float32."
        )
    return hidden.to(getattr(torch, kept_as)).cpu().numpy()


def write_shard(path: Path, rows: np.ndarray) -> str:
    """Write a shard under a temporary name, rename it, and return its sha256."""
    buffer = io.BytesIO()
    np.save(buffer, rows)
    write_whole(path, buffer.getvalue())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def publish(target: Target, shards: list[Shard], hashes: dict[Path, str]) -> None:
    """Write the manifest, which makes the activations complete; hashes the shards that an earlier run left."""
    paths = [target.directory / shard.file for shard in shards]
    listed = [
        {"file": shard.file, "start": shard.start, "rows": shard.rows, "sha256": hashes.get(path) or file_sha256(path)}
        for shard, path in zip(shards, paths, strict=True)
    ]
    manifest = target.plan | {"shards": listed, "torch": torch.__version__}
    write_whole(target.directory / MANIFEST, json.dumps(manifest, indent=2).encode())
