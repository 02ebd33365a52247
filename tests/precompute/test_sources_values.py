"""Which values of a source are kept, which are refused, and what a metadata frame says."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from loaders.errors import BadInput
from precompute.sources.frame import Frame
from precompute.sources.threshold import keep

VALUES = [0.0, 0.0, 0.0, 0.5, -1.25, 3.0, 65504.0, 2.0**-24]  # the last two: the extremes of float16
DENSE = st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from(VALUES))
)


def as_csr(dense):
    return sp.csr_array(dense.astype(np.promote_types(dense.dtype, np.float32)))


@settings(max_examples=60, deadline=None)
@given(
    DENSE,
    st.sampled_from([0.0, 2.0**-25, 0.1, 0.5, np.nextafter(0.5, 0), 3.0, 1e300]),
    st.booleans(),
)
def test_exactly_the_values_above_the_threshold_are_kept_and_the_others_counted(dense, threshold, is_sparse):
    kept = keep(as_csr(dense) if is_sparse else dense, threshold, "a", 0)
    wide = dense.astype(np.float64)
    assert kept.rows.dtype == np.float32 and kept.rows.has_sorted_indices
    assert np.array_equal(kept.rows.toarray(), np.where(wide > threshold, wide, 0))
    assert kept.negative == (wide < 0).sum()
    assert kept.small == ((wide > 0) & (wide <= threshold)).sum()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64])
def test_whole_numbers_become_float32(dtype):
    dense = np.array([[0, 1], [1, 0]], dtype)
    assert np.array_equal(keep(dense, 0, "a", 0).rows.toarray(), dense.astype(np.float32))


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "nan"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (1e39, "more than float32 holds"),
        (1e-60, "less than float32 holds"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_with_file_row_and_feature(is_sparse, value, words):
    dense = np.zeros((5, 4))
    dense[3, 2], dense[1, 1] = value, 1
    with pytest.raises(BadInput, match=r"Row 103 of 'x.npy' has the value .* for feature 2: ") as found:
        keep(sp.csr_array(dense) if is_sparse else dense, 0, "x.npy", 100)
    assert words in str(found.value)


def test_a_threshold_leaves_out_what_float32_would_lose():
    dense = np.array([[1e-60, 2.0]])
    assert keep(dense, 1e-50, "a", 0).rows.toarray().tolist() == [[0, 2]]


def test_a_csv_frame_keeps_its_strings_and_a_parquet_frame_its_missing_values(tmp_path):
    (tmp_path / "a.csv").write_text('id,words\n007,"two\nlines"\n,x\n')
    frame = Frame(tmp_path / "a.csv")
    assert (frame.rows, frame.columns) == (2, ["id", "words"])
    assert list(frame.values()) == [("007", "two\nlines"), (None, "x")]
    assert frame.column("id").to_pylist() == ["007", None]
    pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]}).to_parquet(tmp_path / "a.parquet")
    assert list(Frame(tmp_path / "a.parquet").values()) == [(1.0, "x"), (None, None)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "x", "wanted a .parquet or .csv"),
        ("a.csv", "a,b\n1\n", "cannot be read as csv"),
        ("a.csv", "a,a\n1,2\n", "several columns 'a'"),
        ("a.parquet", "x", "cannot be read as parquet"),
    ],
)
def test_a_frame_that_cannot_be_read_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        Frame(tmp_path / name)
