import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from precompute.row_topk import group_size, row_topk
from precompute.saes import topk
from precompute.saes.sae import Sae, decode, fold_normalisation, initial
from precompute.saes.settings import Settings

shapes = st.tuples(
    st.integers(1, 40),  # rows
    st.sampled_from([1, 7, 12, 24, 48, 60, 96, 128]),  # width
    st.integers(1, 8),  # k
    st.integers(0, 2**31),  # seed
).filter(lambda shape: shape[2] <= shape[1])


@given(shapes)
@settings(deadline=None, max_examples=60)
def test_row_topk_finds_the_same_values_as_a_full_topk(shape):
    rows, width, k, seed = shape
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


def test_encode_keeps_the_k_largest_and_leaves_negative_ones_out():
    sae = Sae("topk", torch.eye(3), torch.eye(3), torch.ones(3), {"b_enc": torch.tensor([0.0, 0.0, -5.0])}, 2)
    codes = topk.encode_sparse(sae, torch.tensor([[3.0, 2.0, 4.0], [0.0, 0.5, 0.0]]))
    assert codes.indptr.tolist() == [0, 2, 2]
    assert codes.indices.tolist() == [0, 1] and codes.values.tolist() == [2.0, 1.0]
    assert decode(sae, codes).tolist() == [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]]


def test_random_directions_begin_at_unit_norm_with_the_encoder_their_transpose():
    sae = topk.begin(Settings(6, 24, 3, 10), torch.Generator().manual_seed(0))
    torch.testing.assert_close(sae.w_dec.norm(dim=1), torch.ones(24))
    assert torch.equal(sae.w_enc, sae.w_dec) and not sae.b_dec.any() and not sae.biases["b_enc"].any()


def test_folding_gives_the_same_reconstructions_in_the_units_of_the_model():
    generator = torch.Generator().manual_seed(3)
    w_enc, w_dec, _ = initial(12, 96, generator)
    b_enc, b_dec = torch.randn(96, generator=generator), torch.randn(12, generator=generator)
    sae = Sae("topk", w_enc, w_dec, b_dec, {"b_enc": b_enc}, 5)
    mean, scale = 5 * torch.randn(12, generator=generator), 0.37
    rows = torch.randn(50, 12, generator=generator) / scale + mean
    trained = topk.encode_sparse(sae, (rows - mean) * scale)
    folded = fold_normalisation(sae, mean, scale)
    codes = topk.encode_sparse(folded, rows)
    torch.testing.assert_close(decode(folded, codes), decode(sae, trained) / scale + mean, rtol=1e-4, atol=1e-4)
    assert torch.equal(codes.indices, trained.indices)
    torch.testing.assert_close(codes.values, trained.values / scale, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(folded.w_dec.norm(dim=1), torch.ones(96))
