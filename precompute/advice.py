"""Step `layers`: run a model once over a sample of a dataset and say at which hook points an SAE is worth training."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from analysis.advice import SCORE, Candidate, advise
from analysis.advice_moments import Change, Moments, Rows
from loaders.advice import Advice, advice_path, read_advice
from loaders.dataset import Dataset
from loaders.errors import BadInput, LoupeError
from loaders.workspace import Workspace
from precompute.batches import Shard, locate_rows, pad, plan_batches
from precompute.capture import INPUT, check_dataset, place_of
from precompute.devices import dtype_name
from precompute.disk import in_bytes, in_megabytes, write_whole
from precompute.hooks import run_until_captured
from precompute.models import HookPoint, LoadedModel, hook_points, load_model
from precompute.passes import Passes
from precompute.progress import Progress

NUMBERED = re.compile(r"((?:(?!\d+\.)[^.]+\.)*)(\d+)")  # `encoder.layer.3`, but not a list within a list
AT_ONCE = 8  # batches whose activations are in memory together


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str
    """Model to run: `minilm`, a local folder or a hub id."""

    dataset: str
    """Dataset of the workspace that it reads."""

    hooks: tuple[str, ...] = ()
    """Hook points to compare, `<hook>.input` for what a module receives; without any, the outputs of the model's blocks."""

    tokens: int = 32_768
    """Samples to measure on, in whole contexts drawn by the seed; the last context may end a little later."""

    seed: int = 0
    """Draws the contexts."""

    batch_tokens: int = 1024
    """Most tokens of a batch, padding included; a single longer context is a batch of its own."""

    memory: str = "2GiB"
    """Most memory for the sums, as 512MiB or 4GiB; rare tokens are left out of eta squared where it is too little."""

    device: str = "cpu"
    """Where the model runs: cpu, cuda, cuda:<number>, mps, or auto for the fastest there is."""

    dtype: str = "float32"
    """Numbers that the model computes in: float32, bfloat16 or float16."""

    trust_remote_code: bool = False
    """Run the Python code that comes with a model; read it first."""


class Sample(NamedTuple):
    """The contexts that are read, the group of every sample of the dataset (-1: none) and the number of groups."""

    contexts: np.ndarray
    groups: np.ndarray
    tokens: int


def run(config: Config, workspace: Workspace, progress: Progress, loaded: LoadedModel | None = None) -> Path:
    """Write `advice/<model>@<dataset>.json` and return it; kept when it was made of the same with the same settings.

    Raises BadInput for an unknown hook point, a model without blocks, a dataset that the model cannot read, and hook
    points whose sums need more than `memory`.
    """
    if config.tokens < 2:
        raise BadInput(f"A sample of {config.tokens} tokens was asked for. Ask for at least 2.")
    dataset = workspace.dataset(config.dataset)
    loaded = loaded or load_model(config.model, config.device, config.dtype, config.trust_remote_code)
    check_dataset(dataset, loaded)
    points = choose_points(loaded, config.hooks)
    path = advice_path(workspace, loaded.model_id, dataset.id)
    prints = {"model": loaded.fingerprint, "dataset": dataset.fingerprint}
    where = {"computed_on": loaded.model.device.type, "computed_in": dtype_name(loaded.model.dtype)}
    plan = asdict(config) | where | {"hooks": [point.name for point in points], "score": SCORE}
    plan = json.loads(json.dumps({name: plan[name] for name in plan if name not in ("model", "device", "dtype")}))
    if _is_made(path, plan, prints):
        return path
    contexts = draw_contexts(dataset, config.tokens, config.seed)
    groups, kept = group_tokens(dataset, contexts, room_for_tokens(points, in_bytes(config.memory)))
    candidates = measure(config, dataset, loaded, points, Sample(contexts, groups, kept), progress)
    lengths = np.diff(dataset.sample_offsets)[contexts]
    sample = {"contexts": len(contexts), "samples": int(lengths.sum()), "of_samples": len(dataset.samples)}
    sample |= {"seed": config.seed, **where}
    advice = Advice(loaded.name, loaded.model_id, dataset.id, prints, sample, SCORE, plan, advise(candidates))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(advice.as_json(), indent=1, allow_nan=False).encode())
    return path


def _is_made(path: Path, plan: dict[str, Any], prints: dict[str, str]) -> bool:
    try:
        found = read_advice(path)
    except LoupeError:
        return False
    return found.plan == plan and found.fingerprints == prints


def choose_points(loaded: LoadedModel, hooks: tuple[str, ...]) -> list[HookPoint]:
    """The named hook points in the model's order, or all blocks: the longest list of numbered modules of one width that
    hand on hidden states and lie in no other such list; of equally long ones the first."""
    points = hook_points(loaded.model)
    places = [place_of(loaded.model, hook) for hook in hooks]
    if any(is_input for _, is_input in places):
        received = [point._replace(name=point.name + INPUT) for point in hook_points(loaded.model, inputs=True)]
        order = {name: place for place, (name, _) in enumerate(loaded.model.named_modules())}
        points = sorted([*received, *points], key=lambda point: order[place_of(loaded.model, point.name)[0]])
    known = {point.name: point for point in points}
    for hook in hooks:
        if hook not in known:
            raise BadInput(
                f"Hook point '{hook}' of model '{loaded.model_id}' has no hidden states (batch, position, width) to measure."
                f" Choose another, e.g. {', '.join(list(known)[:3])}."
            )
    if hooks:
        return [point for point in points if point.name in hooks]
    lists: dict[tuple[str, int], list[HookPoint]] = {}
    for point in points:
        if found := NUMBERED.fullmatch(point.name):
            lists.setdefault((found[1], point.width), []).append(point)
    if not lists:
        raise BadInput(
            f"Model '{loaded.model_id}' has no numbered blocks. Name hook points: --hooks {' '.join(list(known)[:3])}."
        )
    return max(lists.values(), key=len)


def draw_contexts(dataset: Dataset, tokens: int, seed: int) -> np.ndarray:
    """Contexts drawn without repetition until they hold `tokens` samples, or all of them, ascending."""
    lengths = np.diff(dataset.sample_offsets)
    order = np.random.default_rng(seed).permutation(len(lengths))
    needed = int(np.searchsorted(np.cumsum(lengths[order]), tokens)) + 1
    return np.sort(order[:needed])


def room_for_tokens(points: list[HookPoint], memory: int) -> int:
    """How many tokens' sums fit beside the covariances; raises BadInput where not even these do."""
    fixed, each = sum(8 * point.width**2 for point in points), sum(8 * point.width for point in points)
    if fixed > memory:
        raise BadInput(
            f"The covariances of {len(points)} hook points need {in_megabytes(fixed)}, --memory allows"
            f" {in_megabytes(memory)}. Name fewer with --hooks, or allow more."
        )
    return (memory - fixed) // each


def group_tokens(dataset: Dataset, contexts: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """A group for every sample of the dataset by its token, the commonest first; -1 outside of the contexts and for
    tokens that come once or are not among the `most` commonest. Also the number of groups."""
    chosen = np.zeros(dataset.contexts, bool)
    chosen[contexts] = True
    inside = np.repeat(chosen, np.diff(dataset.sample_offsets))
    tokens = np.asarray(dataset.tokens[dataset.samples]).astype(np.int64)
    counts = np.bincount(tokens[inside])
    common = np.argsort(-counts, kind="stable")[: min(most, int((counts > 1).sum()))]
    group_of = np.full(max(len(counts), int(tokens.max(initial=0)) + 1), -1, np.int64)
    group_of[common] = np.arange(len(common))
    return np.where(inside, group_of[tokens], -1), len(common)


def measure(
    config: Config,
    dataset: Dataset,
    loaded: LoadedModel,
    points: list[HookPoint],
    sample: Sample,
    progress: Progress,
) -> list[Candidate]:
    """One pass over the sample: moments of every hook point and its change from the one before of the same width."""
    moments = {point.name: Moments(point.width, sample.tokens) for point in points}
    pairs = {b.name: a.name for a, b in pairwise(points) if a.width == b.width}
    changes = {hook: Change(next(point.width for point in points if point.name == hook)) for hook in pairs}
    offsets = np.asarray(dataset.offsets)
    whole = Shard(0, 0, dataset.contexts, 0, len(dataset.samples))
    lengths = np.diff(offsets)[sample.contexts]
    places = {point.name: place_of(loaded.model, point.name) for point in points}
    received = {hook for hook, (_, is_input) in places.items() if is_input}

    def read(model: nn.Module, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, Rows]]:
        tokens, mask = pad(dataset, offsets, batch)
        device = loaded.model.device
        modules = {hook: model.get_submodule(module) for hook, (module, _) in places.items()}
        captured = run_until_captured(
            model, modules, received, input_ids=tokens.to(device), attention_mask=mask.to(device)
        )
        rows, contexts, positions = locate_rows(dataset, whole, offsets, batch)
        kept = {hook: as_rows(captured[hook][contexts, positions]) for hook in modules}
        return rows, contexts.numpy(), kept

    total = int(np.diff(dataset.sample_offsets)[sample.contexts].sum())
    with progress.step(f"layers {loaded.model_id}", total, "tokens") as bar, Passes(loaded.model, read) as passes:
        for batches in in_groups(plan_batches(lengths, config.batch_tokens), AT_ONCE):
            for rows, contexts, kept in passes.map([sample.contexts[batch] for batch in batches]):
                for hook, values in kept.items():
                    moments[hook].add(values, sample.groups[rows], contexts)
                    if hook in pairs:
                        changes[hook].add(values, kept[pairs[hook]])
                bar.advance(len(rows))
    return [
        Candidate(point.name, point.width, moments[point.name].measure(changes.get(point.name)), pairs.get(point.name))
        for point in points
    ]


def as_rows(hidden: torch.Tensor) -> Rows:
    """Hidden states (samples, width) as float32."""
    rows: Rows = hidden.float().cpu().numpy()
    return rows


def in_groups(batches: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    """Lists of `size` batches, the last one shorter."""
    stream = iter(batches)
    while group := list(islice(stream, size)):
        yield group
