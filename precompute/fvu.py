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


def measure_sae(sae: Sae, blocks: Iterable[Tensor], stages: RowStages | None = None) -> Reconstruction:
    """Encode and decode all blocks [n, d_in] of rows in the units of `sae`, as `measure_together` does."""
    return measure_together([sae], ([block] for block in blocks), stages)[0]


@torch.no_grad()
def measure_together(
    saes: list[Sae], blocks: Iterable[list[Tensor]], stages: RowStages | None = None
) -> list[Reconstruction]:
    """Measure several SAEs in one pass over their rows: of each block one part [n, d_in] for every SAE.

    Each computes where its weights lie, a few rows at a time, which go through `stages` first. FVU is infinite where all
    rows are alike.
    """
    sums = [_Sums(sae, stages or RowStages()) for sae in saes]
    memory: dict[torch.device, Tensor] = {}
    for sae in saes:
        size, device = max(ENCODED, sae.d_sae), sae.w_enc.device
        if device not in memory or len(memory[device]) < size:
            memory[device] = torch.empty(size, device=device)
    for block in blocks:
        for each, part in zip(sums, block, strict=True):
            each.add(part, memory[each.sae.w_enc.device])
    return [each.result() for each in sums]


class _Sums:
    """What a measurement adds up. A row's squares are added in float32, which every device has, the rows' sums in float64.

    Deviations are taken about the mean of the first rows and then corrected to the rows' own mean, so that one pass suffices
    without cancellation.
    """

    def __init__(self, sae: Sae, stages: RowStages) -> None:
        self.sae, self.stages, self.rows = sae, stages, 0
        self.residual = self.deviation = 0.0
        self.centre: Tensor | None = None
        self.total = torch.zeros(sae.d_in, dtype=torch.float64)
        self.fired = torch.zeros(sae.d_sae, dtype=torch.int64)

    def add(self, block: Tensor, memory: Tensor) -> None:
        """Rows [n, d_in], as many at once as there is `memory` for their pre-activations."""
        sae = self.sae
        for part in block.split(max(ENCODED // sae.d_sae, 1)):
            out = memory[: len(part) * sae.d_sae].view(len(part), sae.d_sae)
            x, codes, rebuilt = self.stages.code(sae, part.to(memory.device), out=out)
            self.centre = x.mean(0) if self.centre is None else self.centre
            self.residual += _squares(rebuilt - x)
            shifted = x - self.centre
            self.total += shifted.sum(0).cpu()
            self.deviation += _squares(shifted)
            self.fired += torch.bincount(codes.indices, minlength=sae.d_sae).cpu()
            self.rows += len(x)

    def result(self) -> Reconstruction:
        own = self.deviation - float(self.total @ self.total) / self.rows
        fvu = self.residual / own if own > 0 else math.inf
        return Reconstruction(fvu, float(self.fired.sum()) / self.rows, self.rows, self.fired)


def _squares(rows: Tensor) -> float:
    """The sum of squares of rows [n, d_in]."""
    return float(rows.square().sum(1).cpu().double().sum())
