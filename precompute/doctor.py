"""Say what a checkpoint is and what is wrong with it, from its tensors and, where rows are given, from measured FVU."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from loaders.errors import BadInput
from precompute.formats import read_raw
from precompute.formats.raw import Raw, fold
from precompute.fvu import measure_sae
from precompute.row_stages import RowStages
from precompute.saes.sae import Sae
from precompute.suspects import ENCODED, convict

PROBED = 256  # latents whose encoder is compared with every decoder row
MISMATCHED = 0.25  # least excess of the best cosine with another latent's decoder over that with its own
POOR = 0.3  # FVU below which nothing is suspected
IMPLAUSIBLE = 0.7  # FVU from which something is wrong, even if none of the suspects
DENSE = 0.5  # share of the latents that fire on a row from which the SAE is not sparse
DECIDE = (
    "threshold",
    "log_threshold",
    "topk_threshold",
    "b_gate",
    "b_mag",
    "r_mag",
    "W_skip",
)  # change what an SAE does


@dataclass
class Report:
    """What was found; `problems` are sentences, and empty where the checkpoint can be used as it is."""

    path: str
    format: str | None = None
    architecture: str | None = None
    shapes: dict[str, list[int]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    k: int | None = None
    dead_rows: int | None = None
    measured: dict[str, float] | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@torch.no_grad()
def examine(path: Path, rows: Tensor | None = None) -> Report:
    """Report on the checkpoint at `path`; FVU and L0 are measured on `rows` [n, d_in] where they are given."""
    report = Report(path.as_posix())
    try:
        raw = read_raw(path)
        report.format, report.architecture, report.k = raw.format, raw.architecture, raw.k
        report.shapes = {name: list(tensor.shape) for name, tensor in raw.tensors.items()}
        report.dtypes = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in raw.tensors.items()}
        report.problems += _of_tensors(raw)
        report.notes += _to_fold(raw)
        if report.problems:
            return report
        sae = fold(raw)
    except BadInput as error:
        report.problems.append(str(error))
        return report
    report.problems += _of_latents(sae, report, raw.stated_dtype)
    if rows is not None:
        report.problems += _of_rows(raw, sae, rows, report)
    return report


def _to_fold(raw: Raw) -> Iterator[str]:
    """What import does to the weights, and what it leaves out."""
    if raw.scale not in (None, 1.0):
        yield f"rows are multiplied by {raw.scale:.6g} first; import folds that into the weights"
    if raw.whitening is not None:
        yield "rows are whitened first; import folds that into the weights"
    if raw.unit_rows:
        yield "codes count in the decoder's norms; import folds those into the encoder"
    if stages := RowStages.of(raw.metadata).stages:
        yield f"rows go through {', '.join(stage['stage'] for stage in stages)} before the SAE"
    if left_out := [name for name in raw.unused if name not in DECIDE]:
        yield f"{', '.join(left_out)} of the file {'is' if len(left_out) == 1 else 'are'} not read"


def _of_tensors(raw: Raw) -> Iterator[str]:
    """Shapes, number types, values and thresholds."""
    for name, wanted in raw.shapes().items():
        tensor = raw.tensors[name]
        shape = tuple(tensor.shape)
        if shape != wanted:
            transposed = len(wanted) == 2 and shape == wanted[::-1]
            yield (
                f"{name} is transposed: {shape}, wanted {wanted}"
                if transposed
                else f"{name} is {shape}, wanted {wanted}"
            )
        if not tensor.is_floating_point():
            yield f"{name} holds {tensor.dtype}, wanted floating point numbers"
        if infinite := int((~torch.isfinite(tensor.float())).sum()):  # of eight bits no number can be asked
            yield f"{name} holds {infinite:,} values that are not finite"
    if deciding := [name for name in raw.unused if name in DECIDE]:
        yield f"the file holds {', '.join(deciding)}, which a {raw.architecture} SAE does not read: another architecture?"
    if sentence := raw.disagreement():
        yield sentence
    if raw.scale is None:
        yield "an activation scale is not folded into the weights, and the file does not say it"


def _of_latents(sae: Sae, report: Report, stated_dtype: str | None) -> Iterator[str]:
    """Decoder norms, dead rows, number types, and whether encoder and decoder count latents alike."""
    norms = sae.w_dec.norm(dim=1)
    is_dead = (norms == 0) | (sae.w_enc.norm(dim=1) == 0)
    report.dead_rows = int(is_dead.sum())
    if report.dead_rows:
        report.notes.append(f"{report.dead_rows:,} of {sae.d_sae:,} latents have a zero encoder or decoder row")
    alive = norms[~is_dead]
    if len(alive) and float((alive - 1).abs().max()) > 1e-2:
        low, high = float(alive.min()), float(alive.max())
        report.notes.append(f"decoder norms are not 1 ({low:.3g} to {high:.3g}): activations are in other units")
    types = sorted(set(report.dtypes.values()))
    if types != ["float32"]:
        report.notes.append(f"numbers are {', '.join(types)}; import makes them float32")
    if stated_dtype not in (None, *types):
        report.notes.append(f"its config says {stated_dtype}")
    if "threshold" in sae.biases:
        threshold = sae.biases["threshold"]
        if bool((threshold < 0).any()):
            yield f"threshold is negative for {int((threshold < 0).sum()):,} latents: untrained, or a logarithm"
        if not bool(threshold.any()):
            report.notes.append("every threshold is 0: it does what a standard SAE does")
    probed = (~is_dead).nonzero()[:, 0][:PROBED]
    if len(probed) > 1:
        cosines = normalize(sae.w_enc[probed], dim=1) @ normalize(sae.w_dec, dim=1).t()  # (probed, d_sae)
        own, best = cosines[torch.arange(len(probed)), probed].median(), cosines.amax(1).median()
        if float(best - own) > MISMATCHED:
            yield (
                f"encoder and decoder count latents differently: cosine {float(own):.2f} with the own decoder row,"
                f" {float(best):.2f} with the best one"
            )


def _of_rows(raw: Raw, sae: Sae, rows: Tensor, report: Report) -> Iterator[str]:
    """FVU and L0 on the rows, whether they are plausible, and what would make them so."""
    if rows.shape[1] != sae.d_in:
        yield f"the activations given have {rows.shape[1]} columns; the SAE reads {sae.d_in}"
        return
    if not bool(torch.isfinite(rows).all()) or bool((rows == rows[0]).all()):
        yield "the activations given are all alike, or not finite: nothing can be measured on them"
        return
    stages = RowStages.of(raw.metadata)
    found = measure_sae(sae, rows.split(ENCODED), stages)
    report.measured = {"fvu": found.fvu, "l0": found.l0, "rows": found.rows}
    conviction = convict(raw, sae, stages.enter(stages.prepare(rows))[0]) if found.fvu > POOR else None
    if conviction is not None:
        yield (
            f"{conviction.fault}: FVU falls from {conviction.before:.3f} to {conviction.after:.3f} without that;"
            f" {conviction.remedy}"
        )
    elif found.fvu >= IMPLAUSIBLE:
        yield f"FVU {found.fvu:.3f} is implausible: other activations than it was trained on, or not trained?"
    elif found.fvu > POOR:
        report.notes.append(f"FVU {found.fvu:.3f} is high; no fault that Loupe knows explains it")
    if found.l0 == 0:
        yield "no latent fires on any of the activations given"
    elif found.l0 > DENSE * sae.d_sae:
        yield f"{found.l0:.1f} of {sae.d_sae:,} latents fire on a row, which is not sparse: a threshold or a bias is missing"


def as_text(report: dict[str, Any]) -> str:
    """The report for a person, one fact a line."""
    lines = [f"{report['path']}: {report['format'] or 'not read'} {report['architecture'] or ''}".rstrip()]
    lines += [f"  {name} {list(shape)} {report['dtypes'][name]}" for name, shape in report["shapes"].items()]
    lines += [f"  k {report['k']}"] if report["k"] else []
    if report["measured"]:
        measured = report["measured"]
        lines.append(f"  FVU {measured['fvu']:.4f}, L0 {measured['l0']:.1f} on {measured['rows']:,} rows")
    lines += [f"  note: {note}" for note in report["notes"]] + [
        f"  PROBLEM: {problem}" for problem in report["problems"]
    ]
    return "\n".join(lines if report["problems"] else [*lines, "  nothing is wrong with it"])
