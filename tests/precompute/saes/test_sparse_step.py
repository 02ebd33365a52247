from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from precompute.saes import batch_topk, matryoshka, topk
from precompute.saes.aux_k import EVERY
from precompute.saes.batch_select import select_batch, threshold_of
from precompute.saes.sae import Sae, initial
from precompute.saes.settings import Settings

MODULES = {"topk": topk, "batch_topk": batch_topk, "matryoshka": matryoshka}

shapes = st.tuples(
    st.integers(1, 40),  # rows
    st.integers(1, 12),  # d_in
    st.sampled_from([7, 12, 24, 48, 60, 96, 128]),  # d_sae
    st.integers(1, 7),  # k
    st.integers(0, 2**31),  # seed
)


def random_sae(d_in, d_sae, k, generator):
    w_enc, w_dec, _ = initial(d_in, d_sae, generator)
    w_enc = w_enc + 0.1 * torch.randn(d_sae, d_in, generator=generator)
    b_enc, b_dec = torch.randn(d_sae, generator=generator), torch.randn(d_in, generator=generator)
    return Sae("topk", w_enc, w_dec, b_dec, {"b_enc": b_enc}, k)


def reference_gradients(name, sae, x, setup, dead):
    """Loss and gradients by plain dense autograd: the obvious slow version of the all-sparse step."""
    leaves = {key: tensor.clone().requires_grad_() for key, tensor in sae.parameters.items()}
    pre = (x - leaves["b_dec"]) @ leaves["w_enc"].t() + leaves["b_enc"]
    kept = pre >= pre.topk(setup.k, dim=1).values[:, -1:] if name == "topk" else naive_choice(pre, setup.k)
    codes = torch.where(kept, pre, 0).relu()
    widths = matryoshka.widths(setup) if name == "matryoshka" else (setup.d_sae,)
    residuals = [codes[:, :width] @ leaves["w_dec"][:width] + leaves["b_dec"] - x for width in widths]
    loss = sum(residual.square().mean() for residual in residuals) / len(widths)
    if len(dead):
        aux_pre = (x - sae.b_dec) @ leaves["w_enc"].t() + leaves["b_enc"]
        mask = torch.zeros(setup.d_sae, dtype=torch.bool)
        mask[dead] = True
        candidates = torch.where(mask, aux_pre.relu(), 0)
        bound = candidates.topk(min(setup.aux_k, setup.d_sae), dim=1).values[:, -1:]
        described = torch.where(candidates >= bound, candidates, 0) @ leaves["w_dec"]
        off = described + residuals[-1].detach()
        loss = loss + setup.aux_weight * off[::EVERY].square().mean()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return loss.item(), dict(zip(leaves, gradients, strict=True))


def naive_choice(pre, k):
    """Which entries of a batch are its k * rows largest, by sorting it whole: of equal ones the first."""
    kept = torch.zeros(pre.numel(), dtype=torch.bool)
    kept[pre.flatten().sort(descending=True, stable=True).indices[: k * len(pre)]] = True
    return kept.view(pre.shape)


def dense(selected, shape):
    """Where `select_batch` found its active entries."""
    rows = torch.arange(shape[0]).repeat_interleave(selected.starts.diff().long())
    chosen = torch.zeros(shape, dtype=torch.bool)
    chosen[rows, selected.indices.long()] = True
    return chosen


@pytest.mark.parametrize("name", MODULES)
@given(shapes, st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_sparse_step_has_the_gradients_of_dense_autograd(name, shape, some_are_dead):
    rows, d_in, d_sae, k, seed = shape
    generator = torch.Generator().manual_seed(seed)
    sae = random_sae(d_in, d_sae, k, generator)
    x = torch.randn(rows, d_in, generator=generator)
    setup = Settings(d_in, d_sae, k, rows, levels=3, aux_k=4, aux_weight=0.25)
    dead = torch.arange(0, d_sae, 3) if some_are_dead else torch.arange(0)
    loss, wanted = reference_gradients(name, sae, x, setup, dead)
    result = MODULES[name].make_step(setup)(sae, x, dead)
    assert result.loss == pytest.approx(loss, rel=1e-4)
    for key, reference in wanted.items():
        torch.testing.assert_close(result.gradients[key], reference, rtol=1e-3, atol=1e-5 * max(1.0, loss), msg=key)


@given(st.integers(1, 3000), st.integers(1, 400), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_the_threshold_is_the_entry_that_a_sort_would_find(size, count, seed):
    entries = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    count = min(size, count)
    assert threshold_of(entries, count) == entries.sort(descending=True).values[count - 1]


def test_a_batch_keeps_its_largest_entries_wherever_they_are():
    pre = torch.tensor([[5.0, 4.0, 3.0, -1.0], [0.5, -2.0, 2.0, -3.0]])
    selected = select_batch(pre, 2)
    assert selected.starts.tolist() == [0, 3, 4]
    assert selected.indices.tolist() == [0, 1, 2, 2]
    assert selected.values.tolist() == [5.0, 4.0, 3.0, 2.0]
    assert select_batch(-pre.abs(), 2).indices.tolist() == []


@given(shapes, st.integers(1, 60), st.sampled_from([torch.float32, torch.bfloat16]))
@settings(deadline=None, max_examples=60)
def test_of_entries_that_tie_at_the_threshold_the_first_are_kept_and_no_more_than_k_per_row(shape, levels, dtype):
    rows, _, d_sae, k, seed = shape
    generator = torch.Generator().manual_seed(seed)
    pre = torch.randint(-levels, levels, (rows, d_sae), generator=generator).to(dtype)
    selected = select_batch(pre, k)
    assert torch.equal(dense(selected, pre.shape), naive_choice(pre, k) & (pre > 0))
    assert len(selected.values) <= k * rows


class Threads:
    """Two threads that tell each other, in the place of two processes."""

    size = 2

    def __init__(self, rank, told, barrier):
        self.rank, self.told, self.barrier = rank, told, barrier

    def gather(self, own):
        self.told[self.rank] = own
        self.barrier.wait()
        found = torch.cat([self.told[0], self.told[1]])
        self.barrier.wait()
        return found


@given(shapes, st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_two_processes_keep_of_ties_what_one_would(shape, levels):
    rows, _, d_sae, k, seed = shape
    pre = torch.randint(-levels, levels, (2 * rows, d_sae), generator=torch.Generator().manual_seed(seed)).bfloat16()
    told, barrier = {}, Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(
                lambda rank: select_batch(pre.split(rows)[rank].contiguous(), k, Threads(rank, told, barrier)), (0, 1)
            )
        )
    found = torch.cat([dense(selected, (rows, d_sae)) for selected in both])
    assert torch.equal(found, dense(select_batch(pre, k), pre.shape))


def test_bfloat16_rounds_the_choice_of_latents_and_nothing_else():
    generator = torch.Generator().manual_seed(5)
    sae, x, none = random_sae(32, 128, 8, generator), torch.randn(64, 32, generator=generator), torch.arange(0)
    exact = topk.make_step(Settings(32, 128, 8, 64))(sae, x, none)
    rounded = topk.make_step(Settings(32, 128, 8, 64, dtype=torch.bfloat16))(sae, x, none)
    assert rounded.gradients["w_dec"].dtype == torch.float32
    assert rounded.loss == pytest.approx(exact.loss, rel=0.01)
    alike = (rounded.residual - exact.residual).abs().amax(1) < 1e-4  # rows of the same latents
    assert alike.float().mean() > 0.6


def test_matryoshka_widths_double_and_hold_at_least_k_latents():
    assert matryoshka.widths(Settings(32, 256, 4, 8, levels=4)) == (32, 64, 128, 256)
    assert matryoshka.widths(Settings(32, 256, 48, 8, levels=4)) == (48, 64, 128, 256)
