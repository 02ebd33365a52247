"""The auxiliary loss that revives dead features (Gao et al. 2024, arXiv 2406.04093, appendix A.2)."""

import torch
from torch import Tensor

from precompute.saes.sae import Sae
from precompute.saes.settings import Settings

EVERY = 8  # the loss is taken over every eighth row: an unbiased estimate at an eighth of the cost


def aux_k(
    settings: Settings,
    sae: Sae,
    bias: str,
    pre: Tensor,
    x: Tensor,
    residual: Tensor,
    dead: Tensor,
    gradients: dict[str, Tensor],
) -> float:
    """Let the dead features describe what is left over: add the loss's gradients to `gradients` and return it.

    weight * mean (e - e_hat)^2 over rows, with e = x - x_hat held fixed and e_hat = ReLU(topk_aux_k(pre[:, dead])) w_dec[dead].
    `pre` [rows, d_sae] are the pre-activations, `bias` the name of theirs, `residual` [rows, d_in] is x_hat - x, `dead` [n]
    ids; only w_enc, w_dec and the bias of dead features have a gradient.
    """
    if not settings.aux_k or not settings.aux_weight or not len(dead):
        return 0.0
    target, rows = residual[::EVERY].neg(), x[::EVERY]
    codes = pre[::EVERY].index_select(1, dead).float().relu_()  # (rows, n)
    if len(dead) > settings.aux_k:
        kept = codes.topk(settings.aux_k, dim=1, sorted=False)
        codes = torch.zeros_like(codes).scatter_(1, kept.indices, kept.values)
    w_dec = sae.w_dec[dead]
    off = codes @ w_dec - target
    d_out = off * (2 * settings.aux_weight / off.numel())
    d_codes = (d_out @ w_dec.t()).mul_(codes > 0)
    d_bias = d_codes.sum(0)
    gradients["w_dec"].index_add_(0, dead, codes.t() @ d_out)
    gradients["w_enc"].index_add_(0, dead, d_codes.t() @ rows - torch.outer(d_bias, sae.b_dec))
    gradients[bias].index_add_(0, dead, d_bias)
    return settings.aux_weight * float(off.square().mean())
