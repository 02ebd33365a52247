"""What an architecture needs to know of a run."""

from typing import NamedTuple

import torch


class Settings(NamedTuple):
    """Sizes and coefficients of one SAE in training; rows are normalised, so that E|x|^2 = d_in."""

    d_in: int
    d_sae: int
    k: int  # active latents per row of the top-k family, on average for batch_topk and matryoshka
    batch: int  # rows of a step in this process
    sparsity: float = 0.0  # coefficient of the sparsity loss of standard, gated and jumprelu
    bandwidth: float = 0.0  # width of jumprelu's rectangular kernel, in units of pre-activations
    levels: int = 1  # nested dictionaries of matryoshka, each twice as wide as the one before
    aux_k: int = 0  # dead latents that may describe the residual of a row; 0 leaves the auxiliary loss out
    aux_weight: float = 0.0  # its coefficient
    dtype: torch.dtype = torch.float32  # numbers of the encoder's product
    device: torch.device = torch.device("cpu")
