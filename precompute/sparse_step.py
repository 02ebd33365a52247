"""Gradients of a top-k SAE without autograd: one dense product, everything else on the k active latents per row."""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from precompute.row_topk import row_topk
from precompute.saes.topk import Codes, TopK


class StepResult(NamedTuple):
    """One batch: its loss, what fired, what was left over, and the gradients."""

    loss: float  # mean squared residual: the FVU where rows have mean 0 and E|x|^2 = d_in
    codes: Codes  # indices are int32 here
    residual: Tensor  # (batch, d_in) reconstruction - x
    gradients: TopK


class SparseStep:
    """Computes loss and gradients for batches of one size; its one large buffer is allocated once.

    Per row only k latents are active, so decode, the gradient of the active values and both weight gradients touch
    k of d_sae directions. One counting sort (CSR to CSC of the active places) serves both weight gradients; the decoder
    bias, which the encoder subtracts from its input, costs a matrix-vector product each way.
    """

    def __init__(self, batch: int, d_in: int, d_sae: int, k: int) -> None:
        self.batch, self.d_in, self.d_sae, self.k = batch, d_in, d_sae, k
        self._pre = torch.empty(batch, d_sae)
        self._row_starts = torch.arange(0, batch * k + 1, k, dtype=torch.int32)
        self._places = np.arange(batch * k, dtype=np.int32)
        with warnings.catch_warnings():  # torch says once per process that its CSR support is in beta
            warnings.simplefilter("ignore")
            torch.eye(1).to_sparse_csr()

    @torch.no_grad()
    def __call__(self, weights: TopK, x: Tensor) -> StepResult:
        """Return loss and gradients for normalised rows `x` [batch, d_in] float32."""
        w_enc, b_enc, w_dec, b_dec = weights
        torch.addmm(b_enc - w_enc @ b_dec, x, w_enc.t(), out=self._pre)  # (batch, d_sae), the dense product
        values, wide = row_topk(self._pre, self.k)
        values, indices = values.relu_(), wide.int()

        residual = embedding_bag(indices, w_dec, per_sample_weights=values, mode="sum").add_(b_dec).sub_(x)
        flat = residual.view(-1)
        loss = float(flat @ flat) / flat.numel()
        d_out = residual * (2 / flat.numel())  # dL / d reconstruction
        d_values = self._at_active(d_out, w_dec, indices).mul_(values.view(-1) > 0)

        order, rows, starts = self._by_feature(indices)
        d_w_dec = embedding_bag(rows, d_out, starts, per_sample_weights=values.view(-1)[order], mode="sum")
        d_w_enc = embedding_bag(rows, x, starts, per_sample_weights=d_values[order], mode="sum")
        d_b_enc = torch.zeros_like(b_enc).index_add_(0, indices.view(-1), d_values)
        d_w_enc.addr_(d_b_enc, b_dec, alpha=-1)
        d_b_dec = d_out.sum(0) - d_b_enc @ w_enc
        return StepResult(loss, Codes(indices, values), residual, TopK(d_w_enc, d_b_enc, d_w_dec, d_b_dec))

    def _at_active(self, left: Tensor, right: Tensor, indices: Tensor) -> Tensor:
        """`left @ right.T` at the active places only: [batch * k]."""
        zeros, shape = left.new_zeros(indices.numel()), (self.batch, self.d_sae)
        places = torch.sparse_csr_tensor(self._row_starts, indices.view(-1), zeros, shape, check_invariants=False)
        return torch.sparse.sampled_addmm(places, left, right.t(), beta=0.0).values()

    def _by_feature(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sort the active places by feature: their order [batch * k], their rows, and each feature's first place."""
        by_row = (self._places, indices.view(-1).numpy(), self._row_starts.numpy())
        columns = scipy.sparse.csr_matrix(by_row, shape=(self.batch, self.d_sae)).tocsc()
        return torch.from_numpy(columns.data), torch.from_numpy(columns.indices), torch.from_numpy(columns.indptr[:-1])


def reference_step(weights: TopK, x: Tensor, k: int) -> tuple[float, TopK]:
    """Loss and gradients by plain dense autograd: the obvious slow version that `SparseStep` is measured against."""
    leaves = TopK(*(tensor.detach().clone().requires_grad_() for tensor in weights))
    pre = (x - leaves.b_dec) @ leaves.w_enc.t() + leaves.b_enc
    values, indices = torch.topk(pre, k, dim=1)
    codes = torch.zeros_like(pre).scatter(1, indices, values.relu())
    loss = (codes @ leaves.w_dec + leaves.b_dec - x).square().mean()
    gradients = torch.autograd.grad(loss, leaves)
    return loss.item(), TopK(*gradients)
