"""Gradients of the architectures whose loss is not that of a few active latents alone: dense, by autograd."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from precompute.saes.aux_k import aux_k
from precompute.saes.sae import Sae
from precompute.saes.settings import Settings
from precompute.saes.steps import StepResult


class Losses(NamedTuple):
    """What an architecture makes of a batch, as a graph of autograd."""

    pre: Tensor  # (batch, d_sae) pre-activations that a dead feature may be revived by
    codes: Tensor  # (batch, d_sae)
    residual: Tensor  # (batch, d_in) reconstruction - x
    sparsity: Tensor  # scalar, before its coefficient
    auxiliary: Tensor  # scalar, another part of the loss


class DenseStep:
    """Loss and gradients of mean (x_hat - x)^2 + coefficient * sparsity + auxiliary + the auxiliary loss for dead features.

    The coefficient rises linearly from 0 over the first `RISE` of the run, so that features find a direction before they
    are asked to be few.
    """

    RISE = 0.1

    def __init__(self, settings: Settings, losses: Callable[[Sae, Tensor, Settings], Losses], bias: str) -> None:
        self.settings, self.losses, self.bias = settings, losses, bias

    def __call__(self, sae: Sae, x: Tensor, dead: Tensor, progress: float = 1.0) -> StepResult:
        """For normalised rows `x` [batch, d_in]; `dead` [n] are ids of dead features, `progress` is the share of the run done."""
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in sae.parameters.items()}
        with torch.enable_grad():
            parts = self.losses(with_parameters(sae, leaves), x, self.settings)
            mse = parts.residual.square().mean()
            sparsity = parts.sparsity * (self.settings.sparsity * min(1.0, progress / self.RISE))
            loss = mse + sparsity + parts.auxiliary
            found = torch.autograd.grad(loss, list(leaves.values()))
        gradients = dict(zip(leaves, found, strict=True))
        residual = parts.residual.detach()
        with torch.no_grad():
            pre = parts.pre.detach()
            aux = aux_k(self.settings, sae, self.bias, pre, x, residual, dead, gradients)
            fired = (parts.codes.detach() > 0).nonzero()[:, 1]
        named = {"sparsity_loss": float(sparsity), "aux_loss": aux + float(parts.auxiliary)}
        return StepResult(float(loss) + aux, float(mse), fired, residual, gradients, named)


def with_parameters(sae: Sae, tensors: dict[str, Tensor]) -> Sae:
    """`sae` with other tensors under the names of `Sae.parameters`."""
    biases = {name: tensors[name] for name in sae.biases}
    return replace(sae, w_enc=tensors["w_enc"], w_dec=tensors["w_dec"], b_dec=tensors["b_dec"], biases=biases)
