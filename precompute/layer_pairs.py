"""Match one pair of layers and write its three files: matches, flows and the null's draws."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from analysis.coactivation import Moments, binary, cross_products, moments, overlap, pearson, unit_rows
from analysis.matching import Fates, Pairs, Partners, best_partners, candidate_pairs, judge_fates, null_threshold
from loaders.schema import FATES, FLOWS, MATCHES
from precompute.sample_blocks import SampleBlocks

BLOCK_CELLS = 1 << 23  # feature pairs held at once: about 64 MiB for each of a few float64 arrays


class Layer(NamedTuple):
    """One layer: its activations, their sums per feature, and unit decoder rows where the layers share a basis."""

    rows: SampleBlocks
    moments: Moments
    directions: npt.NDArray[np.float32] | None

    @classmethod
    def read(cls, rows: SampleBlocks, decoder: npt.NDArray[np.float32] | None) -> "Layer":
        """Sum up the activations once, for all pairs."""
        sums = moments((block for _, block in rows.blocks()), rows.features)
        return cls(rows, sums, None if decoder is None else unit_rows(decoder))


class LinkRule(NamedTuple):
    """A pair is linked when it correlates more than `floor` and than the `quantile` of the best correlations found under
    permutations of the samples, one for each of `seeds`."""

    seeds: list[list[int]]
    quantile: float
    floor: float


class LayerPair:
    """Correlations of all features of an earlier with all features of a later layer, in blocks of the former."""

    def __init__(self, source: Layer, target: Layer, jobs: int) -> None:
        self.source, self.target, self.jobs = source, target, jobs
        self.shape = (source.rows.features, target.rows.features)

    def match(
        self, directory: Path, names: tuple[int, int], rule: LinkRule, done: Callable[[], None]
    ) -> dict[str, Any]:
        """Write `matches_<i>_<j>.parquet`, `flows_<i>_<j>.parquet` and `null_<i>_<j>.npy`; return the pair's summary.

        `done` is called after each of the rule's permutations and after two more products.
        """
        partners = self._best_partners(None)
        pairs = candidate_pairs(partners)
        done()
        both = self._count_both(pairs)
        done()
        draws = []
        for seed in rule.seeds:
            order = np.random.default_rng(seed).permutation(self.source.rows.samples)
            draws.append(self._best_partners(order).target_pearson[self.source.moments.alive])
            done()
        null = np.concatenate([np.empty(0, np.float32), *draws])
        chance = null_threshold(null, rule.quantile)
        threshold = max(chance, rule.floor)
        is_linked = pairs.pearson > threshold
        fates = judge_fates(pairs, is_linked, self.source.moments.alive, self.target.moments.alive)
        suffix = f"{names[0]}_{names[1]}"
        pq.write_table(self._matches(pairs, both, is_linked), directory / f"matches_{suffix}.parquet")
        pq.write_table(_flows(partners, fates), directory / f"flows_{suffix}.parquet")
        np.save(directory / f"null_{suffix}.npy", null)
        return {
            "source": names[0],
            "target": names[1],
            "threshold": threshold,
            "null_threshold": chance,
            "linked": int(is_linked.sum()),
            "fates": {"source": _count_fates(fates.source), "target": _count_fates(fates.target)},
            "dead": {
                "source": int((~self.source.moments.alive).sum()),
                "target": int((~self.target.moments.alive).sum()),
            },
        }

    def _row_blocks(self) -> Iterator[slice]:
        blocks = -(-self.shape[0] * self.shape[1] // BLOCK_CELLS)
        size = -(-self.shape[0] // blocks)
        return (slice(first, min(first + size, self.shape[0])) for first in range(0, self.shape[0], size))

    def _aligned(self, order: npt.NDArray[np.int64] | None) -> Iterator[tuple[sp.csr_array, sp.csr_array]]:
        """Row blocks of both layers over the same samples; `order` permutes the samples of the target."""
        for start, block in self.source.rows.blocks():
            samples = np.arange(start, start + block.shape[0])
            yield block, self.target.rows.take(samples if order is None else order[samples])

    def _best_partners(self, order: npt.NDArray[np.int64] | None) -> Partners:
        def blocks() -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
            for here in self._row_blocks():
                products = cross_products(self._aligned(order), here, self.shape, self.jobs)
                yield here.start, pearson(products, self.source.moments, self.target.moments, here)

        return best_partners(blocks(), self.source.moments.alive, self.target.moments.alive)

    def _count_both(self, pairs: Pairs) -> npt.NDArray[np.int64]:
        """Samples on which both features of each pair fire [pairs]."""
        both = np.zeros(len(pairs.source), np.int64)
        for here in self._row_blocks():
            firing = ((binary(a), binary(b)) for a, b in self._aligned(None))
            products = cross_products(firing, here, self.shape, self.jobs)
            inside = (pairs.source >= here.start) & (pairs.source < here.stop)
            both[inside] = np.rint(products[pairs.source[inside] - here.start, pairs.target[inside]])
        return both

    def _matches(self, pairs: Pairs, both: npt.NDArray[np.int64], is_linked: npt.NDArray[np.bool_]) -> pa.Table:
        source, target = self.source, self.target
        measures = overlap(both, source.moments.n[pairs.source], target.moments.n[pairs.target], source.moments.samples)
        if source.directions is None or target.directions is None:
            cosine = pa.nulls(len(both), pa.float32())
        else:
            cosine = np.einsum("ij,ij->i", source.directions[pairs.source], target.directions[pairs.target])
        columns = {
            **pairs._asdict(),
            "cosine": cosine,
            "both": both,
            **measures._asdict(),
            "is_linked": is_linked,
        }
        return pa.table({name: columns[name] for name in MATCHES.names}).cast(MATCHES)


def _flows(partners: Partners, fates: Fates) -> pa.Table:
    """One row for every living feature of either side."""
    sides = [
        ("source", fates.source, partners.target, partners.target_pearson),
        ("target", fates.target, partners.source, partners.source_pearson),
    ]
    tables = [FLOWS.empty_table()]
    for side, fate, partner, value in sides:
        ids = np.flatnonzero(fate != "")
        columns = {
            "side": [side] * len(ids),
            "feature_id": ids,
            "fate": fate[ids],
            "partner": partner[ids],
            "pearson": value[ids],
        }
        tables.append(pa.table(columns).cast(FLOWS))
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _count_fates(fates: npt.NDArray[np.str_]) -> dict[str, int]:
    found = Counter(fates.tolist())
    return {fate: found[fate] for fate in FATES if found[fate]}
