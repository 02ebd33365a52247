"""What a feature's public page shows, computed exactly from its activations: bars, bands, contexts and similarities."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loaders.dataset import Dataset
from loaders.examples import strongest_contexts
from loaders.protocol import FeatureActivations


class Bars(NamedTuple):
    """A histogram as parallel arrays: `heights` i64 [bars] are counts, `centres` f64 [bars] the middles of equal bins."""

    heights: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]


class Band(NamedTuple):
    """One equal-width band [low, high) of the activations (the last one closed), and the share of ALL samples inside:
    those without activation lie in the band that begins at 0."""

    low: float
    high: float
    share: float


class Chosen(NamedTuple):
    """One sample to show in its context; `band` is None for the strongest contexts."""

    sample: int
    context: int
    band: Band | None


class Similarity(NamedTuple):
    """Of two features' activations over all samples, zeros included."""

    pearson: float
    cosine: float


def bars(values: npt.NDArray[np.floating], count: int, low: float | None = None) -> Bars:
    """Counts in `count` equal bins over [low or the smallest value, the largest]; no bars where there are no values."""
    if not len(values):
        return Bars(np.empty(0, np.int64), np.empty(0))
    bottom, top = float(values.min()) if low is None else low, float(values.max())
    heights, edges = np.histogram(values, bins=count, range=(bottom, top))
    return Bars(heights.astype(np.int64), (edges[:-1] + edges[1:]) / 2)


def bands(values: npt.NDArray[np.float32], count: int, samples: int) -> list[Band]:
    """`count` equal-width bands over [0, maximum], strongest first, of non-zero `values` on some of `samples` samples."""
    if not len(values):
        return []
    edges = np.linspace(0.0, float(values.max()), count + 1)
    return [
        Band(float(low), float(high), share_inside(values, float(low), float(high), samples))
        for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True)
    ]


def share_inside(values: npt.NDArray[np.floating], low: float, high: float, samples: int) -> float:
    """Share of all samples whose activation lies in [low, high); in [low, high] where nothing lies above."""
    zeros = samples - len(values) if low <= 0 <= high else 0
    return (int(_inside(values, low, high).sum()) + zeros) / samples if samples else 0.0


def _inside(values: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.bool_]:
    exact = values.astype(np.float64)
    is_last = high >= float(exact.max(initial=0.0))
    return (exact >= low) & (exact <= high if is_last else exact < high)


def choose(found: FeatureActivations, dataset: Dataset, top: int, count: int, per_band: int, seed: int) -> list[Chosen]:
    """The `top` strongest contexts, then up to `per_band` samples drawn from each of `count` bands, strongest first.

    Within a band no context is shown twice; the draw is seeded.
    """
    strongest = [Chosen(each.sample, each.context, None) for each in strongest_contexts(found, dataset, top).items]
    drawn: list[Chosen] = []
    for band in bands(found.activations, count, len(dataset.samples)):
        inside = np.flatnonzero(_inside(found.activations, band.low, band.high))
        shuffled = np.random.default_rng(seed).permutation(inside)
        contexts, _ = dataset.locate(found.indices[shuffled])
        first = np.sort(np.unique(contexts, return_index=True)[1])[:per_band]
        order = first[np.argsort(-found.activations[shuffled[first]], kind="stable")]
        drawn += [Chosen(int(found.indices[shuffled[i]]), int(contexts[i]), band) for i in order]
    return strongest + drawn


def context_values(found: FeatureActivations, dataset: Dataset, context: int) -> npt.NDArray[np.float32]:
    """The feature's activation on every token of a context, f32 [tokens]; 0 on special tokens."""
    first, last = int(dataset.sample_offsets[context]), int(dataset.sample_offsets[context + 1])
    start, stop = np.searchsorted(found.indices, [first, last])
    values = np.zeros(int(dataset.offsets[context + 1] - dataset.offsets[context]), np.float32)
    _, positions = dataset.locate(found.indices[start:stop])
    values[positions] = found.activations[start:stop]
    return values


def similarity(a: FeatureActivations, b: FeatureActivations, samples: int) -> Similarity:
    """Pearson correlation and cosine of two features, in float64 over all `samples`; 0 where either never varies.

    r = (S ab - sum_a sum_b) / sqrt((S aa - sum_a^2)(S bb - sum_b^2)), with S samples; cosine = ab / sqrt(aa bb).
    """
    x, y = a.activations.astype(np.float64), b.activations.astype(np.float64)
    _, here, there = np.intersect1d(a.indices, b.indices, assume_unique=True, return_indices=True)
    product = float(x[here] @ y[there])
    squares = float(x @ x), float(y @ y)
    spread = (samples * squares[0] - x.sum() ** 2) * (samples * squares[1] - y.sum() ** 2)
    pearson = (samples * product - x.sum() * y.sum()) / np.sqrt(spread) if spread > 0 else 0.0
    norms = np.sqrt(squares[0] * squares[1])
    return Similarity(float(pearson), product / norms if norms > 0 else 0.0)
