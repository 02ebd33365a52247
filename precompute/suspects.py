"""What may be wrong with an SAE that rebuilds rows badly: each suspect is undone, and the FVU that falls convicts it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from precompute.formats import saelens
from precompute.formats.raw import Raw, fold
from precompute.fvu import measure_sae
from precompute.saes.sae import Sae

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
    probe = rows[:: -(-len(rows) // PROBED_ROWS)]  # evenly spaced
    if bool((probe == probe[0]).all()):
        return None
    before = measure_sae(sae, probe.split(ENCODED)).fvu
    best = None
    for suspect in _suspects(raw, sae, probe):
        after = measure_sae(suspect.sae, probe.split(ENCODED)).fvu
        if after < CONVICTS * before and (best is None or after < best.after):
            best = Conviction(suspect.fault, suspect.remedy, before, after)
    return best


def _suspects(raw: Raw, sae: Sae, rows: Tensor) -> Iterator[Suspect]:
    scale, said = sae.d_in**0.5 / float(rows.norm(dim=1).mean()), raw.scale or 1.0
    if abs(said - 1) > DIFFERENT:
        fault = f"the activation scale {said:.4g} of the file is folded into the weights already"
        yield Suspect(fault, "import with --scale 1", fold(replace(raw, scale=1.0)))
    if abs(scale / said - 1) > DIFFERENT and abs(scale - 1) > DIFFERENT:
        fault = "an activation scale is not folded into the weights"
        yield Suspect(fault, f"import with --scale {scale:.4g}", fold(replace(raw, scale=scale)))
    if sae.d_in == sae.d_sae:
        turned = {name: {name: raw.tensors[name].t()} for name in ("W_enc", "W_dec")}
        turned["W_enc and W_dec"] = turned["W_enc"] | turned["W_dec"]
        for names, tensors in turned.items():
            undone = replace(raw, tensors=raw.tensors | tensors)
            yield Suspect(f"{names} looks transposed, which its square shape hides", "transpose it", fold(undone))
    if bool(sae.b_dec.any()):
        other = replace(raw, takes_b_dec=not raw.takes_b_dec)
        fault = f"the encoder was trained on x{'' if raw.takes_b_dec else ' - b_dec'}, the file says otherwise"
        yield Suspect(fault, _set(raw, "apply_b_dec_to_input", other.takes_b_dec), fold(other))
    norms = sae.w_dec.norm(dim=1)
    if float((norms - 1).abs().max()) > DIFFERENT:
        unit = replace(sae, w_dec=normalize(sae.w_dec, dim=1))
        yield Suspect("decoder norms are in the encoder and in the decoder", "divide W_dec's rows by their norms", unit)
        if not raw.unit_rows and sae.architecture in RANKS:
            remedy = _set(raw, "rescale_acts_by_decoder_norm", True)
            yield Suspect(RANKS[sae.architecture], remedy, fold(replace(raw, unit_rows=True)))


def _set(raw: Raw, key: str, value: bool) -> str:
    setting = f"set {key} to {str(value).lower()}"
    return (
        setting
        if raw.format == saelens.NAME
        else f"{raw.format} cannot say that: keep it in SAELens's layout and {setting}"
    )
