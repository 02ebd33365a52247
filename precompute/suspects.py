"""What may be wrong with an SAE that rebuilds rows badly: each suspect is undone, and the FVU that falls convicts it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from precompute.formats.raw import Raw, fold
from precompute.fvu import measure_sae
from precompute.saes.sae import Sae, fold_scale

PROBED_ROWS = 2_048  # rows that each suspect is measured on
ENCODED = 512  # rows encoded at once
CONVICTS = 0.5  # FVU with the fault undone, as a share of that with it
DIFFERENT = 1e-2  # relative difference of two scales, or of a norm and 1, below which undoing it is no test
RANKS = {
    "topk": "top-k ranks latents times their decoder norms",
    "jumprelu": "thresholds count latents times their decoder norms",
}


class Suspect(NamedTuple):
    """A fault, and the SAE without it."""

    fault: str
    remedy: str
    sae: Sae


class Conviction(NamedTuple):
    """The fault whose undoing lowers the FVU most."""

    fault: str
    remedy: str
    before: float
    after: float


@torch.no_grad()
def convict(raw: Raw, sae: Sae, rows: Tensor) -> Conviction | None:
    """The likeliest fault of `sae`, which is `raw` folded, by its FVU on `rows` [n, d_in]; None where no suspect halves it."""
    probe = rows[:PROBED_ROWS]
    before = measure_sae(sae, probe.split(ENCODED)).fvu
    measured = [(measure_sae(suspect.sae, probe.split(ENCODED)).fvu, suspect) for suspect in _suspects(raw, sae, probe)]
    if not measured:
        return None
    after, suspect = min(measured, key=lambda pair: pair[0])
    return Conviction(suspect.fault, suspect.remedy, before, after) if after < CONVICTS * before else None


def _suspects(raw: Raw, sae: Sae, rows: Tensor) -> Iterator[Suspect]:
    scale = sae.d_in**0.5 / float(rows.norm(dim=1).mean())
    if abs(scale - 1) > DIFFERENT:
        remedy = f"import with --scale {scale:.4g}"
        yield Suspect("an activation scale is not folded into the weights", remedy, fold_scale(sae, scale))
    if sae.d_in == sae.d_sae:
        turned = {name: {name: raw.tensors[name].t()} for name in ("W_enc", "W_dec")}
        turned["W_enc and W_dec"] = turned["W_enc"] | turned["W_dec"]
        for names, tensors in turned.items():
            undone = replace(raw, tensors=raw.tensors | tensors)
            yield Suspect(f"{names} looks transposed, which its square shape hides", "transpose it", fold(undone))
    if bool(sae.b_dec.any()):
        other = replace(raw, takes_b_dec=not raw.takes_b_dec)
        fault = f"the encoder was trained on x{'' if raw.takes_b_dec else ' - b_dec'}, the file says otherwise"
        yield Suspect(fault, f"set apply_b_dec_to_input to {str(other.takes_b_dec).lower()}", fold(other))
    norms = sae.w_dec.norm(dim=1)
    if float((norms - 1).abs().max()) > DIFFERENT:
        unit = replace(sae, w_dec=normalize(sae.w_dec, dim=1))
        yield Suspect("decoder norms are in the encoder and in the decoder", "divide W_dec's rows by their norms", unit)
        if not raw.unit_rows and sae.architecture in RANKS:
            fault = RANKS[sae.architecture]
            remedy = "set rescale_acts_by_decoder_norm to true"
            yield Suspect(fault, remedy, fold(replace(raw, unit_rows=True)))
