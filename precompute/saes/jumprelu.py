"""The JumpReLU SAE (Rajamanoharan et al. 2024, arXiv 2407.14435): a latent fires above a threshold of its own.

    pre = (x - b_dec) w_enc^T + b_enc        f = pre where pre > threshold, else 0 (threshold > 0)        x_hat = f w_dec + b_dec

    loss = mean (x_hat - x)^2 + sparsity / d_in * mean over rows of L0

Neither the jump nor L0 has a gradient at the threshold; as in the paper a rectangular kernel of width `bandwidth` stands for
it (K = 1 where |pre - threshold| < bandwidth / 2): d f / d threshold = -threshold K / bandwidth and d L0 / d threshold =
-K / bandwidth. The threshold is learned as its logarithm. Finished BatchTopK (arXiv 2412.06410) and Matryoshka (arXiv 2503.17547)
SAEs are of this form too."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from precompute.saes.batch_select import Everyone
from precompute.saes.dense_step import DenseStep, Losses
from precompute.saes.sae import Active, Sae, initial, positives, project
from precompute.saes.settings import Settings

BIASES = ("b_enc", "threshold")
SPARSITY = 0.3  # where none is given
BANDWIDTH = 0.5  # where none is given
FIRST_THRESHOLD = 0.5  # normalised rows have E|x|^2 = d_in, so pre-activations of unit directions are of the order of 1


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    w_enc, w_dec, b_dec = initial(settings.d_in, settings.d_sae, generator)
    logarithm = torch.full((settings.d_sae,), FIRST_THRESHOLD).log()
    return Sae("jumprelu", w_enc, w_dec, b_dec, {"b_enc": torch.zeros(settings.d_sae), "log_threshold": logarithm})


def make_step(settings: Settings, everyone: Everyone | None = None) -> DenseStep:
    return DenseStep(settings, losses, "b_enc")


def losses(sae: Sae, x: Tensor, settings: Settings) -> Losses:
    pre = project(sae, x) + sae.biases["b_enc"]
    codes, active = Jump.apply(pre, sae.biases["log_threshold"].exp(), settings.bandwidth)
    residual = codes @ sae.w_dec + sae.b_dec - x
    return Losses(pre, codes, residual, active.sum() / x.numel(), x.new_zeros(()))


class Jump(torch.autograd.Function):
    """JumpReLU and the Heaviside step of pre-activations [rows, d_sae], with the paper's straight-through gradients."""

    @staticmethod
    def forward(ctx: Any, pre: Tensor, threshold: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
        is_active = pre > threshold
        ctx.save_for_backward(pre, threshold, is_active)
        ctx.bandwidth = bandwidth
        return pre * is_active, is_active.to(pre.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        d_codes, d_active = upstream
        pre, threshold, is_active = ctx.saved_tensors
        is_near = (pre - threshold).abs() < ctx.bandwidth / 2
        d_threshold = -((threshold * d_codes + d_active) * is_near).sum(0) / ctx.bandwidth
        return d_codes * is_active, d_threshold, None


def finish(sae: Sae, rows: Tensor) -> Sae:
    """The threshold itself."""
    biases = {"b_enc": sae.biases["b_enc"], "threshold": sae.biases["log_threshold"].exp()}
    return replace(sae, biases=biases)


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    pre = project(sae, x, out).add_(sae.biases["b_enc"])
    return positives(pre.masked_fill_(pre <= sae.biases["threshold"], 0))
