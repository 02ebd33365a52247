"""Choose the samples that show what a feature reads, and cut out their contexts."""

from typing import Any, NamedTuple

import numpy as np

from loaders.dataset import Dataset
from loaders.protocol import FeatureActivations


class Example(NamedTuple):
    """One sample in its context: `pieces` are exact text slices per token, `active` positions with their `values`."""

    sample: int
    context: int
    position: int
    value: float
    pieces: list[str]
    active: list[int]
    values: list[float]
    metadata: dict[str, Any]


class Examples(NamedTuple):
    """`items` out of `population` (contexts, or firing samples of a band) with values in [low, high]."""

    items: list[Example]
    population: int
    low: float
    high: float
    sampled: bool


def _bare(sample: int, context: int, value: float) -> Example:
    return Example(sample, context, -1, value, [], [], [], {})


def strongest_contexts(found: FeatureActivations, dataset: Dataset, n: int) -> Examples:
    """The `n` contexts with the largest activation, one sample each; ties go to the earlier sample."""
    if not len(found.indices):
        return Examples([], 0, 0.0, 0.0, False)
    contexts, _ = dataset.locate(found.indices)
    firsts = np.flatnonzero(np.diff(contexts, prepend=-1))  # indices ascend, so contexts come in runs
    peaks = np.maximum.reduceat(found.activations, firsts)
    best = np.argsort(-peaks, kind="stable")[:n]
    items = []
    for run in best:
        stop = firsts[run + 1] if run + 1 < len(firsts) else len(contexts)
        at = firsts[run] + int(np.argmax(found.activations[firsts[run] : stop]))
        items.append(_bare(int(found.indices[at]), int(contexts[at]), float(found.activations[at])))
    low, high = (float(peaks[best].min()), float(peaks[best].max())) if len(best) else (0.0, 0.0)
    return Examples(items, len(firsts), low, high, False)


def draw_band(
    found: FeatureActivations, dataset: Dataset, n: int, interval: tuple[float, float], seed: int
) -> Examples:
    """Draw up to `n` firing samples whose value lies between two quantiles of the firing population, strongest first.

    One sample per context while there are enough contexts; the draw is seeded.
    """
    if not len(found.indices):
        return Examples([], 0, 0.0, 0.0, False)
    low, high = (float(q) for q in np.quantile(found.activations, interval, method="inverted_cdf"))
    is_last = interval[1] >= 1  # bands that touch share no sample: the upper bound belongs to the next one
    below = found.activations <= high if is_last else found.activations < high
    inside = np.flatnonzero((found.activations >= low) & below)
    shuffled = np.random.default_rng(seed).permutation(inside)
    contexts, _ = dataset.locate(found.indices[shuffled])
    _, first = np.unique(contexts, return_index=True)
    repeats = np.setdiff1d(np.arange(len(shuffled)), first)
    picked = np.concatenate([np.sort(first), repeats])[:n]
    picked = picked[np.argsort(-found.activations[shuffled[picked]], kind="stable")]
    items = [
        _bare(int(found.indices[shuffled[i]]), int(contexts[i]), float(found.activations[shuffled[i]])) for i in picked
    ]
    return Examples(items, len(inside), low, high, len(items) < len(inside))


def make_example(found: FeatureActivations, dataset: Dataset, sample: int, row: dict[str, Any]) -> Example:
    """Cut out the context of `sample`; `row` holds its text and metadata."""
    contexts, positions = dataset.locate(np.array([sample]))
    context, position = int(contexts[0]), int(positions[0])
    first, last = int(dataset.sample_offsets[context]), int(dataset.sample_offsets[context + 1])
    start, stop = np.searchsorted(found.indices, [first, last])
    _, active = dataset.locate(found.indices[start:stop])
    values = found.activations[start:stop]
    own = np.flatnonzero(active == position)
    metadata = {key: value for key, value in row.items() if key != "text"}
    return Example(
        int(sample),
        context,
        position,
        float(values[own[0]]) if len(own) else 0.0,
        dataset.pieces(context, str(row["text"])),
        active.tolist(),
        values.tolist(),
        metadata,
    )
