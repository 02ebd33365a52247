"""The gated SAE (Rajamanoharan et al. 2024, arXiv 2404.16014): one path says whether a latent fires, another how strongly.

p = (x - b_dec) w_enc^T        f = ReLU(p exp(r_mag) + b_mag) where p + b_gate > 0, else 0        x_hat = f w_dec + b_dec

loss = mean (x_hat - x)^2 + sparsity / d_in * mean over rows of sum ReLU(p + b_gate)
     + mean (ReLU(p + b_gate) w_dec' + b_dec' - x)^2, where w_dec' and b_dec' are held fixed"""

import torch
from torch import Tensor

from precompute.saes.batch_select import Everyone
from precompute.saes.dense_step import DenseStep, Losses
from precompute.saes.sae import Active, Sae, initial, positives, project
from precompute.saes.settings import Settings

BIASES = ("b_gate", "b_mag", "r_mag")
SPARSITY = 3.0  # where none is given


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    w_enc, w_dec, b_dec = initial(settings.d_in, settings.d_sae, generator)
    return Sae("gated", w_enc, w_dec, b_dec, {name: torch.zeros(settings.d_sae) for name in BIASES})


def make_step(settings: Settings, everyone: Everyone | None = None) -> DenseStep:
    return DenseStep(settings, losses, "b_gate")


def losses(sae: Sae, x: Tensor, settings: Settings) -> Losses:
    product = project(sae, x)
    gate = product + sae.biases["b_gate"]
    magnitudes = (product * sae.biases["r_mag"].exp() + sae.biases["b_mag"]).relu()
    codes = magnitudes * (gate > 0)
    residual = codes @ sae.w_dec + sae.b_dec - x
    opened = gate.relu()
    by_gate = opened @ sae.w_dec.detach() + sae.b_dec.detach() - x
    return Losses(gate, codes, residual, opened.sum() / x.numel(), by_gate.square().mean())


def finish(sae: Sae, rows: Tensor) -> Sae:
    """Training and inference are the same function."""
    return sae


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    product = project(sae, x, out)
    is_closed = product + sae.biases["b_gate"] <= 0
    magnitudes = product.mul_(sae.biases["r_mag"].exp()).add_(sae.biases["b_mag"])
    return positives(magnitudes.masked_fill_(is_closed, 0))
