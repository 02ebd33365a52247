"""Match the features of two layers by co-activation: best partners, links above a null, and every feature's fate."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Values = npt.NDArray[np.float32]


class Partners(NamedTuple):
    """Best partner of every source [sources] and of every target [targets] with their correlation; id -1 where dead.

    Ties go to the lower id. A living feature has no partner only when the other layer has no living feature.
    """

    target: Ids
    target_pearson: Values
    source: Ids
    source_pearson: Values


class Pairs(NamedTuple):
    """Candidate pairs, by source and then target [pairs]: those in which either feature is the other's best partner."""

    source: Ids
    target: Ids
    pearson: Values
    is_best_target: npt.NDArray[np.bool_]
    is_best_source: npt.NDArray[np.bool_]


class Fates(NamedTuple):
    """Fate of every source [sources] and target [targets] as words of `loaders.schema.FATES`; '' for dead features."""

    source: npt.NDArray[np.str_]
    target: npt.NDArray[np.str_]


def best_partners(
    blocks: Iterable[tuple[int, Values]], source_alive: npt.NDArray[np.bool_], target_alive: npt.NDArray[np.bool_]
) -> Partners:
    """Best partners both ways; `blocks` yields (first source, correlations [sources of the block, targets]) in order."""
    target = np.full(len(source_alive), -1, np.int64)
    target_pearson = np.zeros(len(source_alive), np.float32)
    source = np.full(len(target_alive), -1, np.int64)
    source_pearson = np.full(len(target_alive), -np.inf, np.float32)
    for first, correlation in blocks:
        here = slice(first, first + len(correlation))
        allowed = np.where(np.outer(source_alive[here], target_alive), correlation, -np.inf)
        best = allowed.argmax(axis=1)
        value = allowed[np.arange(len(best)), best]
        found = value > -np.inf
        target[here] = np.where(found, best, -1)
        target_pearson[here] = np.where(found, value, 0)
        best, value = allowed.argmax(axis=0), allowed.max(axis=0)
        better = value > source_pearson
        source[better], source_pearson[better] = first + best[better], value[better]
    source_pearson[source < 0] = 0
    return Partners(target, target_pearson, source, source_pearson)


def candidate_pairs(partners: Partners) -> Pairs:
    """All pairs that are best in at least one direction, each once."""
    targets = len(partners.source)
    onward, back = np.flatnonzero(partners.target >= 0), np.flatnonzero(partners.source >= 0)
    codes = np.concatenate([onward * targets + partners.target[onward], partners.source[back] * targets + back])
    values = np.concatenate([partners.target_pearson[onward], partners.source_pearson[back]])
    codes, where = np.unique(codes, return_index=True)
    source, target = np.divmod(codes, targets)
    return Pairs(source, target, values[where], partners.target[source] == target, partners.source[target] == source)


def null_threshold(null: Values, quantile: float = 0.999) -> float:
    """The `quantile` of the best correlations found under the null: a source without any true partner exceeds it with
    probability 1 - quantile. 1.0 (nothing is linked) for an empty null."""
    return float(np.quantile(null.astype(np.float64), quantile)) if len(null) else 1.0


def judge_fates(
    pairs: Pairs,
    is_linked: npt.NDArray[np.bool_],
    source_alive: npt.NDArray[np.bool_],
    target_alive: npt.NDArray[np.bool_],
) -> Fates:
    """Give every living feature one fate from the graph of linked candidate pairs.

    Let out(s) be the number of linked targets of a source s, and in(t) the number of linked sources of a target t.
    A feature's own branching decides first, its partner's second:

    - source s: `death` when out(s) = 0; `split` when out(s) >= 2; with one linked target t, `merge` when in(t) >= 2,
      else `persist`.
    - target t: `birth` when in(t) = 0; `merge` when in(t) >= 2; with one linked source s, `split` when out(s) >= 2,
      else `persist`.

    So a source that splits and whose target also merges is a split, and that target a merge. `persist` is always
    mutual and one-to-one, hence equally frequent on both sides: were a persisting pair not each other's best, the
    better partner would be a second link.
    """
    source, target = pairs.source[is_linked], pairs.target[is_linked]
    out = np.bincount(source, minlength=len(source_alive))
    into = np.bincount(target, minlength=len(target_alive))
    only_target, only_source = np.zeros(len(out), np.int64), np.zeros(len(into), np.int64)
    only_target[source], only_source[target] = target, source
    of_source = np.select(
        [~source_alive, out == 0, out >= 2, into[only_target] >= 2], ["", "death", "split", "merge"], "persist"
    )
    of_target = np.select(
        [~target_alive, into == 0, into >= 2, out[only_source] >= 2], ["", "birth", "merge", "split"], "persist"
    )
    return Fates(of_source, of_target)
