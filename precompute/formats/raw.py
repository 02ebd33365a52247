"""What a foreign checkpoint says, under SAELens's names and orientations, before anything is folded or judged."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from loaders.errors import BadInput
from precompute.publish import write_json
from precompute.row_stages import RowStages
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae, fold_decoder_norm, fold_scale, shift_input

SIDECAR = "loupe.json"  # what a format has no place for: the metadata


@dataclass
class Raw:
    """`tensors` as they lie in the file but for names and, where a format's are, transposes; nothing is checked yet."""

    format: str
    architecture: str
    tensors: dict[str, Tensor]  # W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_dec [d_in], biases [d_sae]
    k: int | None = None
    takes_b_dec: bool = True  # whether the encoder reads x - b_dec
    scale: float | None = 1.0  # rows are multiplied by it before the SAE; None where the file owes it
    unit_rows: bool = False  # codes and thresholds are those of decoder rows of norm 1, their norms in the encoder
    whitening: dict[str, Tensor] | None = None  # rows become (x - mean) matrix first; inverse_matrix undoes it
    metadata: dict[str, Any] = field(default_factory=dict)
    stated: tuple[Any, Any] = (None, None)  # d_in and d_sae as the config says them
    stated_dtype: str | None = None  # the number type that the config says
    unused: tuple[str, ...] = ()  # further tensors of the file, which the architecture's formula does not read

    def disagreement(self) -> str | None:
        """A sentence where the config's sizes are not those of the tensors."""
        found = self.shapes()["W_enc"]
        if any(said not in (None, real) for said, real in zip(self.stated, found, strict=True)):
            return f"its config says d_in, d_sae = {self.stated}, the biases are of {found}"
        return None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each tensor must have, by b_dec and the first bias of one entry per latent."""
        biases = INFERENCE[self.architecture].BIASES
        missing = [name for name in ("W_enc", "W_dec", "b_dec", *biases) if name not in self.tensors]
        if missing:
            raise BadInput(f"A {self.architecture} SAE needs {', '.join(missing)}, which the file does not hold.")
        d_in, d_sae = self.tensors["b_dec"].numel(), self.tensors[biases[0]].numel()
        if not d_in or not d_sae:
            raise BadInput(f"The file holds an SAE of {d_sae} latents over {d_in} values. Get the checkpoint again.")
        return {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,), **dict.fromkeys(biases, (d_sae,))}


def fold(raw: Raw) -> Sae:
    """The SAE on raw rows, float32; raises BadInput for wrong shapes, values that are not finite, or a missing scale."""
    RowStages.of(raw.metadata)  # those that it lists are known
    for name, wanted in raw.shapes().items():
        _require_numbers(name, raw.tensors[name], wanted)
    if sentence := raw.disagreement():
        raise BadInput(f"The checkpoint cannot be used: {sentence}. Get it again.")
    if raw.scale is None:
        raise BadInput("The SAE reads scaled activations and the file does not say the factor. Give it with --scale.")
    if not (math.isfinite(raw.scale) and raw.scale > 0):
        raise BadInput(f"The activation scale must be a positive number: found {raw.scale}.")
    if raw.architecture == "topk" and not (isinstance(raw.k, int) and 0 < raw.k <= raw.tensors["b_enc"].numel()):
        raise BadInput(f"A top-k SAE needs k between 1 and its number of latents: found {raw.k}.")
    named = {name: raw.tensors[name].float() for name in raw.shapes()}
    biases = {name: named[name] for name in INFERENCE[raw.architecture].BIASES}
    w_enc, w_dec = named["W_enc"].t().contiguous(), named["W_dec"].contiguous()
    sae = Sae(raw.architecture, w_enc, w_dec, named["b_dec"], biases, raw.k, raw.metadata)
    if not raw.takes_b_dec:
        sae = shift_input(sae, sae.b_dec)
    if raw.unit_rows:
        sae = fold_decoder_norm(sae)
    if raw.whitening is not None:
        sae = _fold_whitening(sae, raw.whitening)
    return fold_scale(sae, raw.scale) if raw.scale != 1 else sae


def _require_numbers(name: str, tensor: Tensor, wanted: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != wanted:
        raise BadInput(f"{name} has the shape {tuple(tensor.shape)}, wanted {wanted}. Run `loupe doctor` on it.")
    if not tensor.is_floating_point():
        raise BadInput(f"{name} holds {tensor.dtype}, wanted floating point numbers. Run `loupe doctor` on it.")
    if not bool(torch.isfinite(tensor.float()).all()):
        raise BadInput(f"{name} holds values that are not finite. Get the checkpoint again.")


def _fold_whitening(sae: Sae, whitening: dict[str, Tensor]) -> Sae:
    """What `sae` does on rows z = (x - mean) matrix, with x_hat = z_hat inverse_matrix + mean, on the rows x themselves."""
    for name, wanted in {
        "mean": (sae.d_in,),
        **dict.fromkeys(("matrix", "inverse_matrix"), (sae.d_in, sae.d_in)),
    }.items():
        if name not in whitening:
            raise BadInput(f"The whitening beside the SAE lacks '{name}'. Get the checkpoint again.")
        _require_numbers(f"The whitening's {name}", whitening[name], wanted)
    mean, matrix, inverse = (whitening[name].double() for name in ("mean", "matrix", "inverse_matrix"))
    return replace(
        sae,
        w_enc=(sae.w_enc.double() @ matrix.t()).float(),
        w_dec=(sae.w_dec.double() @ inverse).float(),
        b_dec=(sae.b_dec.double() @ inverse + mean).float(),
    )


def saelens_names(sae: Sae) -> dict[str, Tensor]:
    """Tensors of `sae` under SAELens's names and orientations, contiguous."""
    named = {"W_enc": sae.w_enc.t(), "W_dec": sae.w_dec, "b_dec": sae.b_dec, **sae.biases}
    return {name: tensor.detach().float().contiguous() for name, tensor in named.items()}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, in which what is no finite number is null; raises BadInput where it is none."""
    try:
        document = json.loads(path.read_text(), parse_constant=lambda _: None, parse_float=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"'{path}' cannot be read as JSON ({error}).") from error
    if not isinstance(document, dict):
        raise BadInput(f"'{path}' holds no JSON object.")
    return document


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def turned(tensor: Tensor) -> Tensor:
    """The transpose of a matrix; anything else stays what it is, for the check of shapes to name."""
    return tensor.t() if tensor.ndim == 2 else tensor


def whole_number(value: object) -> int | None:
    """`value` where it is a whole number (JSON's true is none), else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file; raises BadInput where it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadInput(f"'{path}' cannot be read as safetensors ({error}).") from error


def write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write under a temporary name, then rename."""
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata={"format": "pt"})
    temporary.replace(path)


def read_sidecar(directory: Path) -> dict[str, Any]:
    """The metadata that an export of Loupe kept beside a format without a place for it."""
    return read_json(directory / SIDECAR) if (directory / SIDECAR).is_file() else {}


def write_sidecar(directory: Path, sae: Sae) -> None:
    write_json(directory / SIDECAR, dict(sae.extra))


def refuse_architecture(sae: Sae, format_name: str, known: tuple[str, ...]) -> None:
    """Raise BadInput where a format cannot say what the SAE computes."""
    if sae.architecture not in known:
        raise BadInput(
            f"{format_name} holds {', '.join(known)} SAEs, not {sae.architecture} ones. Export to saelens instead."
        )
