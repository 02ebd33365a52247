"""The ReLU SAE (Bricken et al. 2023, "Towards Monosemanticity"; Cunningham et al. 2023, arXiv 2309.08600).

    f = ReLU((x - b_dec) w_enc^T + b_enc)        x_hat = f w_dec + b_dec

    loss = mean (x_hat - x)^2 + sparsity / d_in * mean over rows of sum f

Decoder rows have unit norm, so that the sum of codes is the L1 penalty with nothing to hide in the decoder."""

import torch
from torch import Tensor

from precompute.saes.batch_select import Everyone
from precompute.saes.dense_step import DenseStep, Losses
from precompute.saes.sae import Active, Sae, initial, positives, project
from precompute.saes.settings import Settings

BIASES = ("b_enc",)
SPARSITY = 2.0  # where none is given


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    w_enc, w_dec, b_dec = initial(settings.d_in, settings.d_sae, generator)
    return Sae("standard", w_enc, w_dec, b_dec, {"b_enc": torch.zeros(settings.d_sae)})


def make_step(settings: Settings, everyone: Everyone | None = None) -> DenseStep:
    return DenseStep(settings, losses, "b_enc")


def losses(sae: Sae, x: Tensor, settings: Settings) -> Losses:
    pre = project(sae, x) + sae.biases["b_enc"]
    codes = pre.relu()
    residual = codes @ sae.w_dec + sae.b_dec - x
    return Losses(pre, codes, residual, codes.sum() / x.numel(), x.new_zeros(()))


def finish(sae: Sae, rows: Tensor) -> Sae:
    """Training and inference are the same function."""
    return sae


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    return positives(project(sae, x, out).add_(sae.biases["b_enc"]))
