"""Which feature of another SAE a label is carried over to: each other's best by decoder direction, by activations, or both."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from analysis.coactivation import Moments, pearson, unit_rows
from loaders.protocol import FeatureActivations
from loaders.store import Store

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]
Blocks = Callable[[Ids], Iterable[tuple[int, Values]]]
MOST_CELLS = 1 << 24
"""Scores, or activations, that are held at once."""


class Partner(NamedTuple):
    """The best partner of one feature and how alike they are; `is_mutual` where it has no better one itself."""

    feature: int
    score: float
    is_mutual: bool


class Heir(NamedTuple):
    """What becomes of one feature: `target` is the feature that inherits, None with the `reason` where there is none.

    `decoder` and `activations` are what each way of matching found; None where it was not asked.
    """

    source: int
    target: int | None
    decoder: Partner | None
    activations: Partner | None
    reason: str


def by_decoder(source: Values, target: Values, features: list[int]) -> dict[int, Partner]:
    """Partner of each of `features` by cosine of decoder rows [features, width] of two SAEs in one space."""
    ours, theirs = unit_rows(source), unit_rows(target)
    return _mutual(
        features,
        lambda ids: _cosine_blocks(ours[ids], theirs),
        lambda ids: _cosine_blocks(theirs[ids], ours),
    )


def by_activations(source: Store, target: Store, features: list[int]) -> dict[int, Partner]:
    """Partner of each of `features` by Pearson correlation over all samples of the dataset that both stores read."""
    return _mutual(
        features,
        lambda ids: _pearson_blocks(source, ids, target),
        lambda ids: _pearson_blocks(target, ids, source),
    )


def choose_heirs(
    features: list[int], decoder: dict[int, Partner] | None, activations: dict[int, Partner] | None, least: float
) -> list[Heir]:
    """An heir for every feature whose partner is mutual and at least `least` alike in every way that was asked, and the
    same in all of them. No two features have one heir, as partners are mutual."""
    return [
        _heir(feature, (decoder or {}).get(feature), (activations or {}).get(feature), least) for feature in features
    ]


def _heir(feature: int, decoder: Partner | None, activations: Partner | None, least: float) -> Heir:
    asked = {"decoder": decoder, "activations": activations}
    found = {name: partner for name, partner in asked.items() if partner is not None}
    for name, partner in found.items():
        if partner.score < least:
            return Heir(feature, None, decoder, activations, f"by {name} its nearest is {partner.score:.2f} alike")
        if not partner.is_mutual:
            return Heir(feature, None, decoder, activations, f"by {name} its nearest has a nearer one")
    if len({partner.feature for partner in found.values()}) != 1:
        return Heir(feature, None, decoder, activations, "decoder and activations name different features")
    return Heir(feature, next(iter(found.values())).feature, decoder, activations, "")


def _mutual(features: list[int], forward: Blocks, backward: Blocks) -> dict[int, Partner]:
    ids = np.asarray(features, np.int64)
    best, score = _best(len(ids), forward(ids))
    targets, where = np.unique(best, return_inverse=True)
    back, _ = _best(len(targets), backward(targets))
    is_mutual = back[where] == ids
    return {
        int(feature): Partner(int(target), float(value), bool(mutual))
        for feature, target, value, mutual in zip(ids, best, score, is_mutual, strict=True)
    }


def _best(rows: int, blocks: Iterable[tuple[int, Values]]) -> tuple[Ids, Values]:
    """Best column of every row and its value, from blocks (first column, [rows, columns]); ties go to the lower column."""
    best, value = np.zeros(rows, np.int64), np.full(rows, -np.inf, np.float32)
    for first, block in blocks:
        at = block.argmax(axis=1)
        here = block[np.arange(rows), at]
        better = here > value
        best[better], value[better] = first + at[better], here[better]
    return best, value


def _cosine_blocks(rows: Values, columns: Values) -> Iterator[tuple[int, Values]]:
    size = max(MOST_CELLS // max(len(rows), 1), 1)
    for first in range(0, len(columns), size):
        yield first, rows @ columns[first : first + size].T


def _pearson_blocks(of: Store, ids: Ids, others: Store) -> Iterator[tuple[int, Values]]:
    rows, row_moments = _read(of.samples, (of.activations(int(feature)) for feature in ids))
    first, held, nonzeros = 0, list[FeatureActivations](), 0
    for feature in range(others.features):
        found = others.activations(feature)
        held.append(found)
        nonzeros += len(found.indices)
        is_full = nonzeros >= MOST_CELLS or len(held) * max(len(ids), 1) >= MOST_CELLS
        if is_full or feature == others.features - 1:
            columns, column_moments = _read(others.samples, held)
            products = np.asarray((rows @ columns.T.tocsr()).todense(), np.float64)  # (rows, columns of the block)
            yield first, pearson(products, row_moments, column_moments, slice(0, len(ids)))
            first, held, nonzeros = feature + 1, [], 0


def _read(samples: int, found: Iterable[FeatureActivations]) -> tuple[sp.csr_array, Moments]:
    """Features as sparse rows (features, samples) in float64, and their sums."""
    each = [(one.indices.astype(np.int64), one.activations.astype(np.float64)) for one in found]
    starts = np.concatenate([[0], np.cumsum([len(indices) for indices, _ in each])]).astype(np.int64)
    indices = np.concatenate([indices for indices, _ in each]) if each else np.empty(0, np.int64)
    values = np.concatenate([values for _, values in each]) if each else np.empty(0)
    matrix = sp.csr_array((values, indices, starts), shape=(len(each), samples))
    sums = np.array([values.sum() for _, values in each])
    squares = np.array([values @ values for _, values in each])
    return matrix, Moments(samples, np.diff(starts), sums, squares)
