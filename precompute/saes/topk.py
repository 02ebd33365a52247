"""The top-k SAE (Gao et al. 2024, arXiv 2406.04093): the k largest pre-activations of a row, after a ReLU, are its code.

pre = (x - b_dec) w_enc^T + b_enc        x_hat = ReLU(topk(pre)) w_dec + b_dec

loss = mean (x_hat - x)^2 + the auxiliary loss of `precompute.saes.aux_k`, whose pre-activations are these."""

import torch
from torch import Tensor

from precompute.row_topk import row_topk
from precompute.saes.batch_select import Everyone, Selected
from precompute.saes.sae import Active, Sae, initial
from precompute.saes.settings import Settings
from precompute.saes.sparse_step import SparseStep

BIASES = ("b_enc",)


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    w_enc, w_dec, b_dec = initial(settings.d_in, settings.d_sae, generator)
    return Sae("topk", w_enc, w_dec, b_dec, {"b_enc": torch.zeros(settings.d_sae)}, settings.k)


def make_step(settings: Settings, everyone: Everyone | None = None) -> SparseStep:
    """The all-sparse step with k active latents in every row."""
    return SparseStep(settings, lambda pre: select_rows(pre, settings.k))


def select_rows(pre: Tensor, k: int) -> Selected:
    """The k largest of each row of `pre` [rows, d_sae], after a ReLU."""
    values, indices = row_topk(pre, k)
    starts = torch.arange(0, values.numel() + 1, k, dtype=torch.int32, device=pre.device)
    return Selected(starts, indices.view(-1).int(), values.view(-1).relu_())


def finish(sae: Sae, rows: Tensor) -> Sae:
    """Training and inference are the same function."""
    return sae


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in], those that the ReLU closed left out; `out` [rows, d_sae] is memory to reuse."""
    if sae.k is None:
        raise ValueError("a top-k SAE has k")
    values, indices = row_topk(torch.addmm(sae.biases["b_enc"], x - sae.b_dec, sae.w_enc.t(), out=out), sae.k)
    columns, order = indices.sort(dim=1)
    values = values.gather(1, order)
    is_active = values > 0
    indptr = torch.zeros(len(x) + 1, dtype=torch.int64, device=x.device)
    torch.cumsum(is_active.sum(1), 0, out=indptr[1:])
    return Active(indptr, columns[is_active], values[is_active])
