"""Rank the tokens and bigrams on which a feature fires, exactly, from all of its activations."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.protocol import FeatureActivations

RANKINGS = ("tfidf", "n", "mean", "lift")
BIGRAM_CANDIDATES = 500


class TokenCounts(NamedTuple):
    """`occurrences` (samples) and `idf` by token id [vocabulary]; `samples` and `contexts` of the dataset."""

    occurrences: np.ndarray
    idf: np.ndarray
    samples: int
    contexts: int

    @classmethod
    def from_table(cls, table: pa.Table, vocabulary: int, samples: int, contexts: int) -> "TokenCounts":
        ids = table["token_id"].to_numpy()
        size = max(vocabulary, int(ids.max()) + 1 if len(ids) else 0)
        count, idf = np.zeros(size, np.int64), np.zeros(size)
        count[ids], idf[ids] = table["count"].to_numpy(), table["idf"].to_numpy()
        return cls(count, idf, samples, contexts)


def rank_tokens(found: FeatureActivations, dataset: Dataset, counts: TokenCounts, n: int, by: str) -> pd.DataFrame:
    """Top `n` tokens: n firing samples, mean activation, tf-idf = n * idf, lift, firing rate given the token.

    Raises BadInput for an unknown ranking.
    """
    ids, inverse, hits = np.unique(dataset.sample_tokens(found.indices), return_inverse=True, return_counts=True)
    means = np.bincount(inverse, found.activations.astype(np.float64), len(ids)) / np.maximum(hits, 1)
    frame = pd.DataFrame({"token": [dataset.vocab[i] for i in ids], "token_id": ids, "n": hits, "mean": means})
    frame["tfidf"] = frame["n"] * counts.idf[ids]
    frame["rate"] = frame["n"] / counts.occurrences[ids]
    frame["lift"] = frame["rate"] / max(len(found.indices) / counts.samples, 1e-300)
    return _best(frame, n, by)


def rank_bigrams(found: FeatureActivations, dataset: Dataset, counts: TokenCounts, n: int, by: str) -> pd.DataFrame:
    """The same for pairs (token before, token), within a context; of the `BIGRAM_CANDIDATES` most frequent pairs."""
    size = np.int64(len(counts.occurrences))
    codes, inside = _bigram_codes(found.indices, dataset, size)
    pairs, inverse, hits = np.unique(codes, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, found.activations[inside].astype(np.float64), len(pairs)) / np.maximum(hits, 1)
    kept = np.sort(np.argsort(-hits, kind="stable")[:BIGRAM_CANDIDATES])
    pairs, hits, means = pairs[kept], hits[kept], means[kept]
    count, df = _count_bigrams(pairs, dataset, size)
    before, after = pairs // size, pairs % size
    frame = pd.DataFrame({"token_id": after, "previous_id": before, "n": hits, "mean": means})
    frame.insert(0, "token", [f"{dataset.vocab[a]} {dataset.vocab[b]}" for a, b in zip(before, after, strict=True)])
    frame["tfidf"] = frame["n"] * np.log((counts.contexts + 1) / (df + 1))
    frame["rate"] = frame["n"] / np.maximum(count, 1)
    frame["lift"] = frame["rate"] / max(len(found.indices) / counts.samples, 1e-300)
    return _best(frame, n, by)


def _best(frame: pd.DataFrame, n: int, by: str) -> pd.DataFrame:
    if by not in RANKINGS:
        raise BadInput(f"Tokens cannot be ranked by '{by}'. Choose one of {', '.join(RANKINGS)}.")
    return frame.sort_values([by, "n", "token_id"], ascending=[False, False, True]).head(n).reset_index(drop=True)


def _bigram_codes(samples: np.ndarray, dataset: Dataset, size: np.int64) -> tuple[np.ndarray, np.ndarray]:
    """Codes previous * size + token of the samples that are not first in their context, and which those are."""
    index = dataset.samples[np.asarray(samples, dtype=np.int64)]
    _, positions = dataset.locate(samples)
    inside = positions > 0
    index = index[inside]
    return dataset.tokens[index - 1].astype(np.int64) * size + dataset.tokens[index], inside


def _count_bigrams(pairs: np.ndarray, dataset: Dataset, size: np.int64) -> tuple[np.ndarray, np.ndarray]:
    """Occurrences and document frequency (contexts) of each pair over the whole dataset, in one streamed pass."""
    count, df = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)
    if not len(pairs):
        return count, df
    block, seen = 1 << 20, np.full(len(pairs), -1, np.int64)
    for start in range(0, len(dataset.samples), block):
        samples = np.arange(start, min(start + block, len(dataset.samples)))
        codes, inside = _bigram_codes(samples, dataset, size)
        slot = np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)
        hit = pairs[slot] == codes
        slot, contexts = slot[hit], dataset.locate(samples[inside][hit])[0]
        count += np.bincount(slot, minlength=len(pairs))
        held = np.unique(np.stack([slot, contexts], axis=1), axis=0) if len(slot) else np.empty((0, 2), np.int64)
        fresh = held[seen[held[:, 0]] != held[:, 1]]
        df += np.bincount(fresh[:, 0], minlength=len(pairs))
        np.maximum.at(seen, held[:, 0], held[:, 1])
    return count, df
