"""What happens to captured rows before an SAE reads them, where its trainer saw the model, or normalised rows, otherwise.

Two kinds, applied in the order in which an SAE's metadata lists them under `input_stages`. Stages of the model change which
rows are rebuilt:

    centre        x - mean(x)                               the residual stream after `center_writing_weights`
    standardise   (x - mean(x)) / sqrt(var(x) + eps), or    a norm's output before its own weights: TransformerLens's
                  x / sqrt(mean(x^2) + eps) by "rms"        `hook_normalized` behind folded (or RMS) norms

Stages of the SAE are undone on what it rebuilds (SAELens's `normalize_activations`):

    constant_norm_rescale   x sqrt(d_in) / |x|
    layer_norm              (x - mean(x)) / (std(x) + 1e-5), std over d_in - 1

Means, variances and norms are over the width of one row. Centring is exact: all that a TransformerLens model with centred
weights adds to the residual stream has mean 0 over the width, so its stream is the model's own minus its mean; the layer
norms that read it subtract that mean themselves, so nothing else changes (Elhage et al., "A Mathematical Framework for
Transformer Circuits", 2021; TransformerLens, "further comments")."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loaders.errors import BadInput
from loaders.sae import STAGES
from precompute.saes import INFERENCE
from precompute.saes.sae import Active, Sae, decode

KEY = STAGES  # in an SAE's metadata and a store's manifest
CENTRE, STANDARDISE = "centre", "standardise"
NORM_RESCALE, LAYER_NORM = "constant_norm_rescale", "layer_norm"
ROW_NORMS = (NORM_RESCALE, LAYER_NORM)
LAYER_NORM_EPS = 1e-5  # SAELens's
Undo = Callable[[Tensor], Tensor]


class Coded(NamedTuple):
    """`rows` [n, d_in] as they are to be rebuilt, their codes, and what was `rebuilt` from those [n, d_in]."""

    rows: Tensor
    active: Active
    rebuilt: Tensor


class RowStages:
    """The stages of one SAE; with none of them rows stay what they are. Raises BadInput for one that is not known."""

    def __init__(self, stages: Sequence[dict[str, Any]] = ()) -> None:
        self.stages = [dict(stage) if isinstance(stage, dict) else {"stage": stage} for stage in stages]
        for stage in self.stages:
            if stage.get("stage") not in (CENTRE, STANDARDISE, *ROW_NORMS):
                raise BadInput(
                    f"The SAE wants its rows to go through '{stage.get('stage')}', which this version does not compute."
                    " Update Loupe, or bring the SAE again."
                )
            if stage["stage"] == STANDARDISE:
                _check_standardise(stage)

    @classmethod
    def of(cls, metadata: dict[str, Any]) -> "RowStages":
        """The stages that an SAE's metadata lists."""
        listed = metadata.get(KEY) or []
        if not isinstance(listed, list):
            raise BadInput(f"'{KEY}' of an SAE must be a list of stages: found {type(listed).__name__}.")
        return cls(listed)

    def prepare(self, rows: Tensor) -> Tensor:
        """What the SAE rebuilds, of captured rows [n, width]; the rows themselves without a stage of the model."""
        for stage in self.stages:
            if stage["stage"] == CENTRE:
                rows = rows - rows.mean(1, keepdim=True)
            elif stage["stage"] == STANDARDISE:
                rows = _standardise(rows, stage["by"], stage["eps"])
        return rows

    def enter(self, rows: Tensor) -> tuple[Tensor, Undo]:
        """What the SAE reads, of prepared rows, and the way back from what it rebuilds."""
        way_back: list[tuple[Tensor, Tensor]] = []  # factor and summand of each row
        for stage in self.stages:
            if stage["stage"] == NORM_RESCALE:
                factor = rows.shape[1] ** 0.5 / rows.norm(dim=1, keepdim=True)
                rows = rows * factor
                way_back.append((1 / factor, torch.zeros(())))
            elif stage["stage"] == LAYER_NORM:
                mean = rows.mean(1, keepdim=True)
                std = (rows - mean).std(1, keepdim=True)
                rows = (rows - mean) / (std + LAYER_NORM_EPS)
                way_back.append((std, mean))

        def undo(rebuilt: Tensor) -> Tensor:
            for factor, summand in reversed(way_back):
                rebuilt = rebuilt * factor + summand
            return rebuilt

        return rows, undo

    def code(self, sae: Sae, rows: Tensor, out: Tensor | None = None) -> Coded:
        """Code captured rows [n, width]; `out` [n, d_sae] is memory to reuse."""
        prepared = self.prepare(rows)
        inside, undo = self.enter(prepared)
        active = INFERENCE[sae.architecture].encode_sparse(sae, inside, out=out)
        return Coded(prepared, active, undo(decode(sae, active)))


def _standardise(rows: Tensor, by: str, eps: float) -> Tensor:
    if by == "layer":
        rows = rows - rows.mean(1, keepdim=True)
    return rows / torch.sqrt(rows.square().mean(1, keepdim=True) + eps)


def _check_standardise(stage: dict[str, Any]) -> None:
    by, eps = stage.get("by"), stage.get("eps")
    if by not in ("layer", "rms") or not isinstance(eps, int | float) or not 0 <= eps < 1:
        raise BadInput(f"A stage 'standardise' needs by 'layer' or 'rms' and an eps from 0 to 1: found {by}, {eps}.")
