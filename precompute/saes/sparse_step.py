"""Gradients of the top-k family without autograd: one dense product, everything else on the active latents of each row."""

import warnings
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from precompute.saes.aux_k import aux_k
from precompute.saes.batch_select import Selected
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings
from precompute.saes.steps import StepResult


class SparseStep:
    """Computes loss and gradients for batches of one size; its one large buffer is allocated once.

    Per row only about k latents are active, so decode, the gradient of the active values and both weight gradients touch
    k of d_sae directions. One counting sort (CSR to CSC of the active places) serves both weight gradients; the decoder
    bias, which the encoder subtracts from its input, costs a matrix-vector product each way.

    `select` names the active latents of pre-activations [batch, d_sae]. `widths` are those of nested dictionaries, the
    last of them d_sae: each prefix of the latents has a reconstruction and a loss of its own, and the step's loss is their
    mean. A latent's gradient then comes from every prefix that holds it: from the sum of their residuals.
    """

    def __init__(
        self, settings: Settings, select: Callable[[Tensor], Selected], widths: tuple[int, ...] | None = None
    ) -> None:
        self.settings, self.select = settings, select
        self._bounds = list(pairwise((0, *(widths or (settings.d_sae,)))))
        self._pre = torch.empty(settings.batch, settings.d_sae, dtype=settings.dtype, device=settings.device)
        with warnings.catch_warnings():  # torch says once per process that its CSR support is in beta
            warnings.simplefilter("ignore")
            torch.eye(1).to_sparse_csr()

    @torch.no_grad()
    def __call__(self, sae: Sae, x: Tensor, dead: Tensor, progress: float = 0.0) -> StepResult:
        """Return loss and gradients for normalised rows `x` [batch, d_in] float32; `dead` [n] are ids of dead features."""
        w_enc, b_enc, w_dec, b_dec = sae.w_enc, sae.biases["b_enc"], sae.w_dec, sae.b_dec
        number = self.settings.dtype
        torch.addmm((b_enc - w_enc @ b_dec).to(number), x.to(number), w_enc.t().to(number), out=self._pre)
        selected = self.select(self._pre)
        if number != torch.float32:  # rounding decided only which latents are active: how strongly is computed in full
            values = _at_active(selected, x - b_dec, w_enc).add_(b_enc[selected.indices.long()]).relu_()
            selected = selected._replace(values=values)
        groups = self._split(selected)

        outputs, residual = [], b_dec - x
        for (low, high), group in zip(self._bounds, groups, strict=True):
            residual = residual + _bag(group.indices, w_dec[low:high], group.starts, group.values)
            outputs.append(residual)
        flat = residual.view(-1)
        mse = float(flat @ flat) / flat.numel()
        loss = mse if len(outputs) == 1 else float(np.mean([float(part.square().mean()) for part in outputs]))

        d_w_enc, d_w_dec, d_b_enc = [], [], torch.zeros_like(b_enc)
        d_out = torch.zeros_like(residual)
        for (low, high), group, part in reversed(list(zip(self._bounds, groups, outputs, strict=True))):
            d_out.add_(
                part, alpha=2 / (part.numel() * len(outputs))
            )  # dL / d reconstruction of this prefix and wider ones
            d_values = _at_active(group, d_out, w_dec[low:high]).mul_(group.values > 0)
            order, rows, starts = _by_feature(group, high - low)
            d_w_dec.append(_bag(rows, d_out, starts, group.values[order]))
            d_w_enc.append(_bag(rows, x, starts, d_values[order]))
            d_b_enc[low:high].index_add_(0, group.indices, d_values)
        gradients = {
            "w_enc": d_w_enc[0] if len(outputs) == 1 else torch.cat(d_w_enc[::-1]),
            "w_dec": d_w_dec[0] if len(outputs) == 1 else torch.cat(d_w_dec[::-1]),
            "b_dec": d_out.sum(0) - d_b_enc @ w_enc,
            "b_enc": d_b_enc,
        }
        gradients["w_enc"].addr_(d_b_enc, b_dec, alpha=-1)
        aux = aux_k(self.settings, sae, "b_enc", self._pre, x, residual, dead, gradients)
        fired = selected.indices[selected.values > 0].long()
        return StepResult(loss + aux, mse, fired, residual, gradients, {"aux_loss": aux})

    def _split(self, selected: Selected) -> list[Selected]:
        """The active places of each nested group of latents, with indices that count from the group's first latent."""
        if len(self._bounds) == 1:
            return [selected]
        rows = torch.arange(self.settings.batch, device=selected.indices.device)
        of_row = rows.repeat_interleave(selected.starts.diff().long())
        groups = []
        for low, high in self._bounds:
            is_inside = (selected.indices >= low) & (selected.indices < high)
            starts = torch.zeros_like(selected.starts)
            starts[1:] = torch.bincount(of_row[is_inside], minlength=self.settings.batch).cumsum(0)
            groups.append(Selected(starts, selected.indices[is_inside] - low, selected.values[is_inside]))
        return groups


def _bag(indices: Tensor, table: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of rows of `table`, one for each stretch of `indices` that begins at `starts` (its last entry ends it)."""
    if not len(indices):
        return table.new_zeros(len(starts) - 1, table.shape[1])
    return embedding_bag(indices, table, starts[:-1], per_sample_weights=weights, mode="sum")


def _at_active(group: Selected, left: Tensor, right: Tensor) -> Tensor:
    """`left @ right.T` at the active places only: [active]."""
    if not len(group.indices):
        return left.new_zeros(0)
    zeros, shape = left.new_zeros(len(group.indices)), (len(left), len(right))
    places = torch.sparse_csr_tensor(group.starts, group.indices, zeros, shape, check_invariants=False)
    return torch.sparse.sampled_addmm(places, left, right.t(), beta=0.0).values()


def _by_feature(group: Selected, features: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort the active places by feature: their order [active], their rows, and where each feature's begin [features + 1]."""
    if group.indices.device.type != "cpu":
        order = torch.argsort(group.indices, stable=True)
        ends = torch.bincount(group.indices, minlength=features).cumsum(0, dtype=torch.int32)
        of_row = torch.arange(len(group.starts) - 1, device=order.device, dtype=torch.int32)
        rows = of_row.repeat_interleave(group.starts.diff().long())[order]
        return order, rows, torch.cat([ends.new_zeros(1), ends])
    places = np.arange(len(group.indices), dtype=np.int32)
    shape = (len(group.starts) - 1, features)
    columns = scipy.sparse.csr_matrix((places, group.indices.numpy(), group.starts.numpy()), shape=shape).tocsc()
    return torch.from_numpy(columns.data), torch.from_numpy(columns.indices), torch.from_numpy(columns.indptr)
