"""Begin features anew that the auxiliary loss could not revive: those whose pre-activations are never positive."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from precompute.processes import Processes
from precompute.saes.sae import Sae

ROWS_FOR_EACH = 16  # rows of the batch for each feature begun anew: many at once at the same rows would overshoot
REVIVED_UNTIL = 0.7  # share of the run after which nothing is begun anew, so that features can settle


@torch.no_grad()
def begin_anew(
    sae: Sae,
    adam: torch.optim.Adam,
    first: dict[str, float],
    features: Tensor,
    residual: Tensor,
    seed: int,
    processes: Processes,
) -> None:
    """Point `features` [n] at what badly reconstructed rows of the batch still miss; their Adam moments restart.

    Rows are drawn with a probability proportional to their squared residual, each once, as by Bricken et al. (2023, "Towards
    Monosemanticity", neuron resampling), from the whole batch: all processes draw the same, and `residual` [rows, d_in],
    which is reconstruction - x, is of this one's share. Encoder rows take the median norm of all, biases the values that
    they had at the `first` step.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = processes.gather(residual.square().sum(1)).cpu()
    chosen = torch.multinomial(weights, len(features), generator=generator)
    directions = normalize(-processes.take(residual, chosen.to(residual.device)), dim=1)
    typical = torch.linalg.vector_norm(sae.w_enc, dim=1).median()
    values = {"w_enc": directions * typical, "w_dec": directions, **first}
    for name, weight in sae.parameters.items():
        if name in values:
            weight[features] = values[name]
            for moment in ("exp_avg", "exp_avg_sq"):
                adam.state[weight][moment][features] = 0.0
