"""Samples on which two features fire together, strongest first."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loaders.protocol import FeatureActivations


class Common(NamedTuple):
    """Samples [n] on which both features fire, ascending, with the activation of each."""

    samples: NDArray[np.int64]
    first: NDArray[np.float32]
    second: NDArray[np.float32]


def common_samples(first: FeatureActivations, second: FeatureActivations) -> Common:
    """All samples on which both fire; both must be over the same samples."""
    samples, in_first, in_second = np.intersect1d(
        first.indices, second.indices, assume_unique=True, return_indices=True
    )
    return Common(samples.astype(np.int64), first.activations[in_first], second.activations[in_second])


def strongest_common(common: Common, contexts: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The `n` strongest of the common samples, one for each context [n of `common`], as sample indices, best first.

    A sample is as strong as the weaker of the two activations, each as a share of its largest common value, so that
    neither feature alone decides; ties go to the earlier sample.
    """
    if not len(common.samples):
        return np.empty(0, np.int64)
    strength = np.minimum(common.first / common.first.max(), common.second / common.second.max())
    order = np.argsort(-strength, kind="stable")
    _, leaders = np.unique(contexts[order], return_index=True)
    return common.samples[order[np.sort(leaders)[:n]]]
