"""A finished SAE of any architecture in one form, its exact sparse codes, and what may be folded into its weights.

Every architecture is a function of one product, p = (x - b_dec) w_enc^T, and decodes alike: x_hat = codes w_dec + b_dec."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize


@dataclass(frozen=True)
class Sae:
    """Weights, float32, in the model's own units; a latent's encoder and decoder directions are rows."""

    architecture: str
    w_enc: Tensor  # (d_sae, d_in)
    w_dec: Tensor  # (d_sae, d_in)
    b_dec: Tensor  # (d_in); taken from the input, added to the output
    biases: dict[str, Tensor]  # (d_sae) each: b_enc; jumprelu also threshold; gated b_gate, r_mag, b_mag
    k: int | None = None  # top-k alone
    extra: dict[str, object] = field(default_factory=dict)  # what its origin said of model, hook point and training

    @property
    def d_sae(self) -> int:
        return len(self.w_enc)

    @property
    def d_in(self) -> int:
        return len(self.b_dec)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Every tensor by name; the names of `Sae` and of its biases."""
        return {"w_enc": self.w_enc, "w_dec": self.w_dec, "b_dec": self.b_dec, **self.biases}


class Active(NamedTuple):
    """Exactly the positive codes, as CSR: indices ascend within a row."""

    indptr: Tensor  # (rows + 1) int64
    indices: Tensor  # (active) int64
    values: Tensor  # (active) float32, > 0


def project(sae: Sae, x: Tensor, out: Tensor | None = None) -> Tensor:
    """p = (x - b_dec) w_enc^T for rows `x` [rows, d_in]; `out` [rows, d_sae] receives it."""
    return torch.mm(x - sae.b_dec, sae.w_enc.t(), out=out)


def positives(codes: Tensor) -> Active:
    """The positive entries of dense codes [rows, d_sae]."""
    is_active = codes > 0
    indptr = torch.zeros(len(codes) + 1, dtype=torch.int64, device=codes.device)
    torch.cumsum(is_active.sum(1), 0, out=indptr[1:])
    return Active(indptr, is_active.nonzero()[:, 1], codes[is_active])


def decode(sae: Sae, active: Active) -> Tensor:
    """Reconstruct rows [rows, d_in] from the active latents alone."""
    if not len(active.indices):
        return sae.b_dec.expand(len(active.indptr) - 1, -1).clone()
    offsets = active.indptr[:-1]
    return embedding_bag(active.indices, sae.w_dec, offsets, per_sample_weights=active.values, mode="sum") + sae.b_dec


def initial(d_in: int, d_sae: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """w_enc, w_dec [d_sae, d_in] and b_dec [d_in] to begin with: random unit decoder rows, the encoder their transpose.

    Measured on real activations: random directions reach half the FVU that rows of the data do in the same steps.
    """
    w_dec = normalize(torch.randn(d_sae, d_in, generator=generator), dim=1)
    return w_dec.clone(), w_dec, torch.zeros(d_in)


def shift_input(sae: Sae, towards: Tensor) -> Sae:
    """The SAE whose encoder reads x + `towards` [d_in] where it read x; codes of shifted rows stay what they were."""
    return _add_to_pre(sae, (sae.w_enc.double() @ towards.double()).float())


def _add_to_pre(sae: Sae, moved: Tensor) -> Sae:
    """The SAE whose product p is larger by `moved` [d_sae], which the biases take up."""
    biases = dict(sae.biases)
    if sae.architecture == "gated":
        biases["b_gate"] = biases["b_gate"] + moved
        biases["b_mag"] = biases["b_mag"] + moved * biases["r_mag"].exp()
    else:
        biases["b_enc"] = biases["b_enc"] + moved
    return replace(sae, biases=biases)


def fold_scale(sae: Sae, scale: float) -> Sae:
    """What `sae` does on rows times `scale`, in the units of the rows themselves: the same codes, w_dec / scale."""
    return replace(sae, w_enc=sae.w_enc * scale, w_dec=sae.w_dec / scale, b_dec=sae.b_dec / scale)


def fold_centring(sae: Sae) -> Sae:
    """What `sae` does on x - mean(x), means over the width of a row, on any x: the same codes and reconstructions."""
    double = sae.w_enc.double()
    centred = double - double.mean(1, keepdim=True)  # x centred, times w_enc^T
    moved = (centred - double) @ sae.b_dec.double()  # what subtracting b_dec loses by that
    return replace(_add_to_pre(sae, moved.float()), w_enc=centred.float())


def fold_normalisation(sae: Sae, mean: Tensor, scale: float) -> Sae:
    """What `sae` does on (x - mean) * scale, in the units of x; decoder rows keep their norms, codes shrink by `scale`."""
    biases = {name: bias if name == "r_mag" else bias / scale for name, bias in sae.biases.items()}
    return replace(sae, b_dec=mean.to(sae.b_dec.device) + sae.b_dec / scale, biases=biases)


def fold_decoder_norm(sae: Sae) -> Sae:
    """Unit decoder rows for an SAE with `b_enc` whose codes count in their units; a threshold already does and stays."""
    norms = sae.w_dec.norm(dim=1, keepdim=True).clamp_min(1e-8)  # a row of zeros stays one
    biases = {**sae.biases, "b_enc": sae.biases["b_enc"] * norms[:, 0]}
    return replace(sae, w_enc=sae.w_enc * norms, w_dec=sae.w_dec / norms, biases=biases)
