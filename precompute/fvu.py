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
    """Encode and decode all blocks [n, d_in] of rows, which go through `stages` first; sums are float64. FVU is infinite
    where all rows are alike.

    Deviations are taken about the mean of the first block and then corrected to the rows' own mean, so that one pass
    suffices without cancellation.
    """
    read, residual, deviation = stages or RowStages(), 0.0, 0.0
    rows = 0
    centre: Tensor | None = None
    total = torch.zeros(sae.d_in, dtype=torch.float64)
    fired = torch.zeros(sae.d_sae, dtype=torch.int64)
    size = max(ENCODED // sae.d_sae, 1)
    pre = torch.empty(size, sae.d_sae)
    for block in blocks:
        for x in block.split(size):
            prepared, codes, rebuilt = read.code(sae, x, out=pre[: len(x)])
            centre = prepared.mean(0) if centre is None else centre
            residual += float((rebuilt - prepared).double().square().sum())
            shifted = (prepared - centre).double()
            total += shifted.sum(0)
            deviation += float(shifted.square().sum())
            fired += torch.bincount(codes.indices, minlength=sae.d_sae)
            rows += len(x)
    own = deviation - float(total @ total) / rows
    return Reconstruction(residual / own if own > 0 else math.inf, float(fired.sum()) / rows, rows, fired)
