import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from precompute.row_topk import group_size, row_topk
from precompute.saes import topk
from precompute.sparse_step import SparseStep, reference_step


def random_weights(d_in, d_sae, generator):
    weights = topk.initial(d_in, d_sae, generator)
    return weights._replace(
        w_enc=weights.w_enc + 0.1 * torch.randn(d_sae, d_in, generator=generator),
        b_enc=torch.randn(d_sae, generator=generator),
        b_dec=torch.randn(d_in, generator=generator),
    )


shapes = st.tuples(
    st.integers(1, 40),  # rows
    st.integers(1, 12),  # d_in
    st.sampled_from([1, 7, 12, 24, 48, 60, 96, 128]),  # d_sae
    st.integers(1, 8),  # k
    st.integers(0, 2**31),  # seed
).filter(lambda shape: shape[3] <= shape[2])


@given(shapes)
@settings(deadline=None, max_examples=60)
def test_row_topk_finds_the_same_values_as_a_full_topk(shape):
    rows, _, width, k, seed = shape
    entries = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    values, columns = row_topk(entries, k)
    assert torch.equal(values.sort(1).values, torch.topk(entries, k).values.sort(1).values)
    assert torch.equal(entries.gather(1, columns), values)
    assert all(len(set(row)) == k for row in columns.tolist())


def test_row_topk_returns_distinct_columns_where_entries_tie():
    entries = torch.tensor([[1.0] * 96, [0.0] * 48 + [2.0] * 48])
    values, columns = row_topk(entries, 4)
    assert values.tolist() == [[1.0] * 4, [2.0] * 4]
    assert all(len(set(row)) == 4 for row in columns.tolist())


def test_large_rows_are_searched_in_groups_and_small_ones_whole():
    assert group_size(3072, 32) in (8, 12)
    assert group_size(97, 8) == 1
    assert group_size(16, 8) == 1


@given(shapes)
@settings(deadline=None, max_examples=60)
def test_the_sparse_step_has_the_gradients_of_dense_autograd(shape):
    rows, d_in, d_sae, k, seed = shape
    generator = torch.Generator().manual_seed(seed)
    weights = random_weights(d_in, d_sae, generator)
    x = torch.randn(rows, d_in, generator=generator)
    loss, wanted = reference_step(weights, x, k)
    result = SparseStep(rows, d_in, d_sae, k)(weights, x)
    assert result.loss == pytest.approx(loss, rel=1e-4)
    for name, gradient, reference in zip(wanted._fields, result.gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-5 * max(1.0, loss), msg=name)


def test_encode_keeps_the_k_largest_and_closes_negative_ones():
    weights = topk.TopK(torch.eye(3), torch.tensor([0.0, 0.0, -5.0]), torch.eye(3), torch.tensor([1.0, 1.0, 1.0]))
    codes = topk.encode(weights, torch.tensor([[3.0, 2.0, 4.0], [0.0, 0.5, 0.0]]), k=2)
    dense = torch.zeros(2, 3).scatter(1, codes.indices, codes.values)
    assert dense.tolist() == [[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert topk.decode(weights, codes).tolist() == [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]]


def test_folding_gives_the_same_reconstructions_in_the_units_of_the_model():
    generator = torch.Generator().manual_seed(3)
    weights = random_weights(12, 96, generator)
    mean, scale = 5 * torch.randn(12, generator=generator), 0.37
    rows = torch.randn(50, 12, generator=generator) / scale + mean
    trained = topk.encode(weights, (rows - mean) * scale, k=5)
    wanted = topk.decode(weights, trained) / scale + mean
    folded = topk.fold(weights, mean, scale)
    codes = topk.encode(folded, rows, k=5)
    torch.testing.assert_close(topk.decode(folded, codes), wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(codes.values.sort(1).values, trained.values.sort(1).values / scale, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(folded.w_dec.norm(dim=1), torch.ones(96))
