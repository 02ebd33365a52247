"""Document frequencies and token rankings against counting by hand."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from analysis.token_statistics import (
    Vocabulary,
    document_frequencies,
    inverse_document_frequency,
    rank_tokens,
)

CONTEXTS = st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=8)


@given(CONTEXTS, st.integers(1, 10))
def test_document_frequencies_count_contexts_and_do_not_depend_on_the_block(contexts, block):
    tokens = np.array([token for context in contexts for token in context], dtype=np.uint32)
    offsets = np.concatenate([[0], np.cumsum([len(context) for context in contexts])]).astype(np.int64)
    count, df = document_frequencies(tokens, offsets, 6, block)
    assert count.tolist() == [sum(context.count(token) for context in contexts) for token in range(6)]
    assert df.tolist() == [sum(token in context for context in contexts) for token in range(6)]


def test_a_token_of_every_context_has_no_weight():
    idf = inverse_document_frequency(np.array([9, 4, 0]), 9)
    assert idf.tolist() == [0, np.log(2), np.log(10)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_token_rows_are_the_best_of_each_feature(seed, k):
    generator = np.random.default_rng(seed)
    dense = np.where(generator.random((30, 4)) < 0.4, generator.integers(1, 9, (30, 4)) / 4, 0).astype(np.float32)
    dense[:, 1] = 0
    tokens = generator.integers(0, 5, 30)
    count = np.bincount(tokens, minlength=5)
    vocabulary = Vocabulary(count, count, np.array([0.5, 0.5, 1.0, 2.0, 0.0]))
    columns = sp.csc_array(dense)
    rows = rank_tokens(columns.indptr.astype(np.int64), tokens[columns.indices], columns.data, vocabulary, 30, k)

    expected = []
    for feature in range(4):
        fires = dense[:, feature] > 0
        found = []
        for token in np.unique(tokens[fires]):
            values = dense[fires & (tokens == token), feature]
            rate = len(values) / count[token]
            tfidf = len(values) * vocabulary.idf[token]
            found.append((feature, token, len(values), values.mean(), tfidf, rate / fires.mean(), rate))
        expected += sorted(found, key=lambda row: (-row[4], -row[2], row[1]))[:k]
    got = list(zip(*(column.tolist() for column in rows), strict=True))
    assert len(got) == len(expected)
    for row, wanted in zip(got, expected, strict=True):
        assert row == pytest.approx(wanted)
