"""How well an SAE reconstructs: fraction of variance unexplained, L0 and what fires, accumulated over blocks of rows."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from precompute.row_stages import RowStages
from precompute.saes.sae import Sae

ENCODED = 2**24  # pre-activations at once


class Reconstruction(NamedTuple):
    """FVU = sum of squared residuals / sum of squared deviations from the mean of the same rows; l0 = mean active latents."""

    fvu: float
    l0: float
    rows: int
    fired: Tensor  # (d_sae) int64: rows on which each feature fires


@torch.no_grad()
def measure_sae(sae: Sae, blocks: Iterable[Tensor], stages: RowStages | None = None) -> Reconstruction:
    """Encode and decode all blocks [n, d_in] of rows, which go through `stages` first, where the weights lie, a part of a
    block at a time. FVU is infinite where all rows are alike.

    A row's squares are added in float32, which every device has, the rows' sums in float64 on the CPU. Deviations are taken
    about the mean of the first part and then corrected to the rows' own mean, so that one pass suffices without cancellation.
    """
    read, residual, deviation = stages or RowStages(), 0.0, 0.0
    rows = 0
    centre: Tensor | None = None
    device = sae.w_enc.device
    total = torch.zeros(sae.d_in, dtype=torch.float64)
    fired = torch.zeros(sae.d_sae, dtype=torch.int64)
    size = max(ENCODED // sae.d_sae, 1)
    pre = torch.empty(size, sae.d_sae, device=device)
    for block in blocks:
        for part in block.split(size):
            x, codes, rebuilt = read.code(sae, part.to(device), out=pre[: len(part)])
            centre = x.mean(0) if centre is None else centre
            residual += _squares(rebuilt - x)
            shifted = x - centre
            total += shifted.sum(0).cpu()
            deviation += _squares(shifted)
            fired += torch.bincount(codes.indices, minlength=sae.d_sae).cpu()
            rows += len(x)
    own = deviation - float(total @ total) / rows
    return Reconstruction(residual / own if own > 0 else math.inf, float(fired.sum()) / rows, rows, fired)


def _squares(rows: Tensor) -> float:
    """The sum of squares of rows [n, d_in]."""
    return float(rows.square().sum(1).cpu().double().sum())
