"""The ReLU SAE (Bricken et al. 2023, "Towards Monosemanticity"; Cunningham et al. 2023, arXiv 2309.08600), inference.

f = ReLU((x - b_dec) w_enc^T + b_enc)        x_hat = f w_dec + b_dec"""

from torch import Tensor

from precompute.saes.sae import Active, Sae, positives, project

BIASES = ("b_enc",)


def encode_sparse(sae: Sae, x: Tensor, out: Tensor | None = None) -> Active:
    """Codes of rows `x` [rows, d_in]; `out` [rows, d_sae] is memory to reuse."""
    return positives(project(sae, x, out).add_(sae.biases["b_enc"]))
