"""Measure an SAE on a few thousand samples before anything is computed from it, and say what speaks against it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute import capture
from precompute.add_conventions import Conventions, as_plain_checkpoint
from precompute.add_place import Reading, take_shift
from precompute.batches import plan_shards
from precompute.formats import read_raw
from precompute.formats.raw import Raw, fold
from precompute.fvu import measure_sae
from precompute.models import LoadedModel
from precompute.progress import Progress
from precompute.row_stages import RowStages
from precompute.saes.sae import Sae
from precompute.suspects import convict

PROBED = 4096  # samples
ENCODED_ROWS = 1024  # rows encoded at once
FAR = 3.0  # factor between measured and published L0 that is not believed
DENSE = 0.5  # share of the latents that fire on one token, from which it is none that it is sparse


class Check(NamedTuple):
    """FVU = sum of squared residuals / sum of squared deviations from the rows' mean; L0 = mean active latents of a row.

    `scale`: the constant that rows are multiplied by, where it was estimated on these rows.
    """

    fvu: float
    l0: float
    rows: int
    scale: float | None = None


def probe(
    config: capture.Config, workspace: Workspace, dataset: Dataset, loaded: LoadedModel, progress: Progress
) -> dict[str, Tensor]:
    """Rows [samples, width] of the dataset's first contexts, about PROBED samples, at every hook point of `config`."""
    capture.check_dataset(dataset, loaded)
    targets = capture.find_targets(config, workspace, dataset, loaded)
    shard = next(iter(plan_shards(np.asarray(dataset.sample_offsets), PROBED)))
    with progress.step(f"check on {dataset.id}", shard.rows, "tokens") as bar:
        arrays = capture.read_shard(config, dataset, loaded, targets, shard, bar)
    return {target.hook: torch.from_numpy(rows) for target, rows in zip(targets, arrays, strict=True)}


def estimate_scale(reading: Reading, rows: Tensor) -> float:
    """sqrt(width) / mean |x|, as SAELens estimates `expected_average_only_in`: rows then have length sqrt(width) on average."""
    prepared = RowStages(reading.stages).prepare(rows if reading.shift is None else rows - reading.shift)
    return float(prepared.shape[1] ** 0.5 / prepared.norm(dim=1).double().mean())


def open_checkpoint(conventions: Conventions, scale: float | None) -> Raw:
    """The checkpoint, with the constant that rows are multiplied by; raises BadInput where it cannot be read."""
    with as_plain_checkpoint(conventions) as folder:
        raw = read_raw(Path(folder))
    return raw if scale is None else replace(raw, scale=scale)


def as_read(raw: Raw, reading: Reading) -> Sae:
    """The SAE as it reads captured rows, once they went through its stages; raises BadInput where it cannot be used."""
    return take_shift(fold(raw), reading.shift)


def suspicion(raw: Raw, reading: Reading, rows: Tensor) -> str:
    """A sentence on the fault of the checkpoint that explains the FVU on captured rows; "" where none does."""
    stages = RowStages(reading.stages)
    inside, _ = stages.enter(stages.prepare(rows if reading.shift is None else rows - reading.shift))
    found = convict(raw, fold(raw), inside)
    if found is None:
        return ""
    remedy = found.remedy.removeprefix("import ")
    return f" It looks as if {found.fault}: FVU {found.after:.3g} without that fault; {remedy}."


def check(sae: Sae, stages: RowStages, rows: Tensor, scale: float | None = None) -> Check:
    """Raises BadInput where the SAE reads rows of another width."""
    if rows.shape[1] != sae.d_in:
        raise BadInput(f"it reads rows of {sae.d_in:,} values, and {rows.shape[1]:,} come out of the model there")
    found = measure_sae(sae, rows.split(ENCODED_ROWS), stages)
    return Check(found.fvu, found.l0, found.rows, scale)


def implausible(found: Check, d_sae: int, published_l0: float | None) -> str | None:
    """What speaks against the SAE at this place; None where nothing does."""
    if not found.fvu < 1:
        return f"it rebuilds the rows worse than their mean does (FVU {found.fvu:.3g})"
    if found.l0 == 0:
        return "none of its latents fires"
    if published_l0 is not None and not 1 / FAR <= found.l0 / published_l0 <= FAR:
        return f"{found.l0:.3g} latents fire per token where {published_l0:.3g} were published"
    if published_l0 is None and found.l0 > DENSE * d_sae:
        return f"{found.l0:.3g} of its {d_sae:,} latents fire per token"
    return None


def refusal(problems: Sequence[str]) -> BadInput:
    """One sentence of what was found for one or more SAEs."""
    more = f" {len(problems) - 1} more of the SAEs fail too." if len(problems) > 1 else ""
    return BadInput(
        f"{problems[0]}{more} Is it the model, the hook point (--hook), the first token (--bos, --no-bos) or the scale"
        " (--scale) that it was trained with? `loupe doctor` examines the files; --force goes on as it is."
    )
