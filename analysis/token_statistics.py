"""Which tokens a feature fires on: document frequencies, tf-idf, lift and firing rate, for many features at once."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from analysis.distributions import owners


class Vocabulary(NamedTuple):
    """Per token id [vocabulary]: samples with it, contexts that hold it, and its idf."""

    occurrences: npt.NDArray[np.int64]
    df: npt.NDArray[np.int64]
    idf: npt.NDArray[np.float64]


class TokenRows(NamedTuple):
    """Feature-token pairs, by feature and then best first: all arrays [pairs]; `feature` counts from the block's first."""

    feature: npt.NDArray[np.int64]
    token: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    tfidf: npt.NDArray[np.float64]
    lift: npt.NDArray[np.float64]
    rate: npt.NDArray[np.float64]


def document_frequencies(
    tokens: npt.NDArray[np.integer], context_offsets: npt.NDArray[np.int64], vocabulary: int, block: int = 1 << 22
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count of each token over samples and the number of contexts that hold it, int64 [vocabulary] each.

    `tokens` [samples] in context order, `context_offsets` [contexts + 1] into it; works on about `block` samples at once.
    """
    count, df = np.zeros(vocabulary, np.int64), np.zeros(vocabulary, np.int64)
    first, contexts = 0, len(context_offsets) - 1
    while first < contexts:
        reach = int(np.searchsorted(context_offsets, context_offsets[first] + block, side="right")) - 1
        last = min(max(reach, first + 1), contexts)
        start, stop = int(context_offsets[first]), int(context_offsets[last])
        ids = tokens[start:stop].astype(np.int64)
        held = owners(context_offsets[first : last + 1]) * vocabulary + ids
        count += np.bincount(ids, minlength=vocabulary)
        df += np.bincount(np.unique(held) % vocabulary, minlength=vocabulary)
        first = last
    return count, df


def inverse_document_frequency(df: npt.NDArray[np.int64], contexts: int) -> npt.NDArray[np.float64]:
    """idf(t) = log((N + 1) / (df_t + 1)) over N contexts, the smoothed form of Spaerck Jones (1972)."""
    return np.log((contexts + 1) / (df + 1))


def rank_tokens(
    indptr: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.integer],
    data: npt.NDArray[np.float32],
    vocabulary: Vocabulary,
    samples: int,
    k: int,
) -> TokenRows:
    """The `k` best tokens of each feature by tf-idf = n * idf; ties by n, then by token id.

    `tokens` [nnz] is the token at each non-zero and `data` [nnz] its activation, feature after feature (`indptr`).
    lift = P(token | fires) / P(token); rate = P(fires | token).
    """
    pairs = sp.csr_array(  # a complex number carries sum and count through one summation, both exact in float64
        (data.astype(np.float64) + 1j, tokens.astype(np.int32), indptr.astype(np.int32)),
        shape=(len(indptr) - 1, len(vocabulary.occurrences)),
    )
    pairs.sum_duplicates()
    feature, token = owners(pairs.indptr), pairs.indices.astype(np.int64)
    n = np.rint(pairs.data.imag).astype(np.int64)
    tfidf = n * vocabulary.idf[token]
    order = np.lexsort((token, -n, -tfidf, feature))
    starts = np.concatenate([[0], np.cumsum(np.bincount(feature, minlength=len(indptr) - 1))])
    rank = np.arange(len(order)) - starts[feature]  # features are ascending before and after the sort
    kept = order[rank < k]
    feature, token, n, total = feature[kept], token[kept], n[kept], pairs.data.real[kept]
    rate = n / vocabulary.occurrences[token]
    lift = rate / (np.diff(indptr)[feature] / samples)
    return TokenRows(feature, token, n, total / n, tfidf[kept], lift, rate)
