"""How well features tell samples of a known kind from all others: the best detector of a mask, and its area under the curve."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array
from scipy.stats import rankdata

from loaders.store import Store


class Detector(NamedTuple):
    """A feature, the Pearson correlation of its activations with the mask, and its area under the ROC curve."""

    feature: int
    pearson: float
    area: float


def activation_matrix(store: Store) -> csc_array:
    """All activations [samples, features], read feature by feature."""
    found = [store.activations(feature) for feature in range(store.features)]
    indptr = np.cumsum([0, *(len(one.indices) for one in found)])
    data = np.concatenate([one.activations for one in found]).astype(np.float64)
    indices = np.concatenate([one.indices for one in found]).astype(np.int64)
    return csc_array((data, indices, indptr), shape=(store.samples, store.features))


def best_detector(activations: csc_array, mask: np.ndarray) -> Detector:
    """The feature with the highest Pearson correlation with a mask (bool [samples]); zeros of an activation count."""
    means = activations.mean(axis=0)
    deviations = np.sqrt(np.maximum(activations.power(2).mean(axis=0) - means**2, 1e-12))
    products = activations.T @ mask.astype(np.float64) / len(mask)
    pearson = (products - means * mask.mean()) / (deviations * max(mask.std(), 1e-12))
    feature = int(pearson.argmax())
    values = activations[:, [feature]].toarray().ravel()
    return Detector(feature, float(pearson[feature]), area_under_curve(values, mask))


def area_under_curve(values: np.ndarray, mask: np.ndarray) -> float:
    """Probability that a sample inside the mask has a higher value than one outside, ties counted half (Hanley 1982).

    0.5 where all samples are inside or outside.
    """
    inside = int(mask.sum())
    if inside in (0, len(mask)):
        return 0.5
    ranks = rankdata(values)[mask].sum() - inside * (inside + 1) / 2
    return float(ranks / (inside * (len(mask) - inside)))
