"""What one training step hands to the optimiser, whichever way it was computed."""

from typing import NamedTuple

from torch import Tensor


class StepResult(NamedTuple):
    """One batch: its loss, what fired, what was left over, and the gradients."""

    loss: float  # what is minimised
    mse: float  # mean squared residual: the FVU where rows have mean 0 and E|x|^2 = d_in
    fired: Tensor  # (active) int64 ids of the features that fired, one for each place
    residual: Tensor  # (batch, d_in) reconstruction - x
    gradients: dict[str, Tensor]  # by the names of `Sae.parameters`
    parts: dict[str, float]  # parts of the loss beside the mean squared residual
