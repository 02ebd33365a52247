"""The largest entries per row against a full stable sort."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analysis.ranking import sortable_bits, top_per_row

FLOATS = st.floats(width=32, allow_nan=False)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=FLOATS), st.integers(0, 14))
def test_the_best_entries_come_first_and_ties_go_to_the_lower_column(values, k):
    reference = np.argsort(-values, axis=1, kind="stable")[:, :k]
    assert np.array_equal(top_per_row(values, k), reference)


@given(arrays(np.float32, st.integers(2, 30), elements=FLOATS))
def test_integers_made_of_floats_sort_like_the_floats(values):
    by_bits = values[np.argsort(sortable_bits(values), kind="stable")]
    assert np.array_equal(by_bits, np.sort(values))


def test_excluded_entries_are_chosen_last():
    values = np.array([[-np.inf, 2.0, -3.0]], dtype=np.float32)
    assert top_per_row(values, 3).tolist() == [[1, 2, 0]]
