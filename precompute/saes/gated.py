"""The gated SAE (Rajamanoharan et al. 2024, arXiv 2404.16014), inference.

p = (x - b_dec) w_enc^T        f = ReLU(p exp(r_mag) + b_mag) where p + b_gate > 0, else 0        x_hat = f w_dec + b_dec"""

from torch import Tensor

from precompute.saes.sae import Active, Sae, positives, project

BIASES = ("b_gate", "b_mag", "r_mag")


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    product = project(sae, x, out)
    is_closed = product + sae.biases["b_gate"] <= 0
    magnitudes = product.mul_(sae.biases["r_mag"].exp()).add_(sae.biases["b_mag"])
    return positives(magnitudes.masked_fill_(is_closed, 0))
