"""The batch top-k SAE (Bussmann, Leask, Nanda 2024, arXiv 2412.06410): k active latents per row on average, the batch's largest.

    pre = (x - b_dec) w_enc^T + b_enc        x_hat = ReLU(batch_topk(pre)) w_dec + b_dec

    loss = mean (x_hat - x)^2 + the auxiliary loss of `precompute.saes.aux_k`

A single row has no batch, so a finished SAE is a JumpReLU one: what exceeds a threshold, the same for all latents, is active."""

from dataclasses import replace

import torch
from torch import Tensor

from precompute.saes import topk
from precompute.saes.batch_select import Everyone, select_batch, threshold_of
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings
from precompute.saes.sparse_step import SparseStep

ENCODED = 2**25  # pre-activations at once while the threshold is measured


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    return replace(topk.begin(settings, generator), architecture="batch_topk")


def make_step(settings: Settings, everyone: Everyone | None = None) -> SparseStep:
    """The all-sparse step with k * batch active latents in a batch, over all processes that share it."""
    return SparseStep(settings, lambda pre: select_batch(pre, settings.k, everyone))


@torch.no_grad()
def finish(sae: Sae, rows: Tensor) -> Sae:
    """The JumpReLU SAE with the threshold above which k latents per row of `rows` [n, d_in] are active on average.

    The paper takes the mean over batches of the smallest active value; this is the same quantity for all of `rows` at once.
    """
    count, largest = (sae.k or 0) * len(rows), []
    for part in rows.split(max(ENCODED // sae.d_sae, 1)):
        x = part.to(sae.w_enc.device)
        pre = torch.addmm(sae.biases["b_enc"], x - sae.b_dec, sae.w_enc.t()).view(-1)
        largest.append(pre[pre >= threshold_of(pre, min(count, len(pre)))])
    threshold = threshold_of(torch.cat(largest), count).relu().expand(sae.d_sae).clone()
    return replace(sae, architecture="jumprelu", biases={**sae.biases, "threshold": threshold}, k=None)
