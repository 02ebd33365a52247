"""How well an SAE reconstructs: fraction of variance unexplained and L0, accumulated over blocks of rows."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from precompute.saes import INFERENCE
from precompute.saes.sae import Sae
from precompute.saes.sae import decode as decode_sparse
from precompute.saes.topk import TopK, decode, encode

ENCODED_ROWS = 4_096  # rows encoded at once


class Reconstruction(NamedTuple):
    """FVU = sum of squared residuals / sum of squared deviations from the mean of the same rows; l0 = mean active latents."""

    fvu: float
    l0: float
    rows: int


@torch.no_grad()
def measure_reconstruction(weights: TopK, k: int, blocks: Iterable[Tensor]) -> Reconstruction:
    """Encode and decode all blocks [n, d_in] of rows in the units of `weights`; sums are float64.

    Deviations are taken about b_dec first (which is near the mean) and then corrected to the rows' own mean, so that
    one pass suffices without cancellation.
    """
    residual = deviation = 0.0
    active = rows = 0
    total = torch.zeros_like(weights.b_dec, dtype=torch.float64)
    pre = torch.empty(ENCODED_ROWS, len(weights.b_enc))
    for block in blocks:
        for x in block.split(ENCODED_ROWS):
            codes = encode(weights, x, k, out=pre[: len(x)])
            residual += float((decode(weights, codes) - x).double().square().sum())
            shifted = (x - weights.b_dec).double()
            total += shifted.sum(0)
            deviation += float(shifted.square().sum())
            active += int((codes.values > 0).sum())
            rows += len(x)
    return Reconstruction(residual / (deviation - float(total @ total) / rows), active / rows, rows)


@torch.no_grad()
def measure_sae(sae: Sae, blocks: Iterable[Tensor]) -> Reconstruction:
    """The same for an SAE of any architecture, about the mean of the first block before it is corrected."""
    residual = deviation = 0.0
    active = rows = 0
    centre: Tensor | None = None
    total = torch.zeros(sae.d_in, dtype=torch.float64)
    for block in blocks:
        for x in block.split(ENCODED_ROWS):
            centre = x.mean(0) if centre is None else centre
            codes = INFERENCE[sae.architecture].encode_sparse(sae, x)
            residual += float((decode_sparse(sae, codes) - x).double().square().sum())
            shifted = (x - centre).double()
            total += shifted.sum(0)
            deviation += float(shifted.square().sum())
            active += len(codes.indices)
            rows += len(x)
    return Reconstruction(residual / (deviation - float(total @ total) / rows), active / rows, rows)
