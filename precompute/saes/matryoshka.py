"""The Matryoshka SAE (Bussmann et al. 2025, arXiv 2503.17547): nested dictionaries, so that wide ones split fewer
broad features.

Codes are those of a batch top-k SAE. The first d_sae / 2^(levels - 1), ..., d_sae / 2, d_sae latents each reconstruct alone:

    loss = mean over the prefixes of mean (x_hat_prefix - x)^2 + the auxiliary loss of `precompute.saes.aux_k`

(the paper adds the prefixes' losses up; their mean keeps the loss in units of one reconstruction). A finished SAE is a JumpReLU
one, of which any prefix of the latents is an SAE too."""

from dataclasses import replace

import torch

from precompute.saes import batch_topk
from precompute.saes.batch_select import Everyone, select_batch
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings
from precompute.saes.sparse_step import SparseStep

finish = batch_topk.finish


def begin(settings: Settings, generator: torch.Generator) -> Sae:
    """Weights before the first step."""
    return replace(batch_topk.begin(settings, generator), architecture="matryoshka")


def widths(settings: Settings) -> tuple[int, ...]:
    """Latents of each nested dictionary, the narrowest first; at least k, so that the narrowest has that many to choose from."""
    halved = (settings.d_sae >> level for level in reversed(range(settings.levels)))
    return tuple(sorted({max(width, settings.k) for width in halved}))


def make_step(settings: Settings, everyone: Everyone | None = None) -> SparseStep:
    """The all-sparse step with k * batch active latents in a batch and a loss for every prefix."""
    return SparseStep(settings, lambda pre: select_batch(pre, settings.k, everyone), widths(settings))
