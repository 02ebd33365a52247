"""The JumpReLU SAE (Rajamanoharan et al. 2024, arXiv 2407.14435), inference; BatchTopK (arXiv 2412.06410) and Matryoshka
SAEs (arXiv 2503.17547) are saved in this form too.

    pre = (x - b_dec) w_enc^T + b_enc        f = ReLU(pre) where pre > threshold, else 0        x_hat = f w_dec + b_dec"""

from torch import Tensor

from precompute.saes.sae import Active, Sae, positives, project

BIASES = ("b_enc", "threshold")


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    pre = project(sae, x, out).add_(sae.biases["b_enc"])
    return positives(pre.masked_fill_(pre <= sae.biases["threshold"], 0))
