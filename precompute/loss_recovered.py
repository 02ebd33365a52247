"""Loss recovered: how much of what a hook point means to the model's predictions an SAE's reconstruction keeps."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from loaders.dataset import Dataset
from loaders.errors import BadInput
from precompute.batches import pad, plan_batches
from precompute.hooks import capture_outputs
from precompute.models import LoadedModel
from precompute.progress import Progress
from precompute.publish import write_json
from precompute.row_stages import RowStages
from precompute.saes.sae import Sae
from precompute.splice import find_hook, require_width, spliced

NAME = "loss_recovered.json"
"""File beside the SAE that keeps the last measurement."""
LOGIT_ROWS = 512  # rows of logits that are made float32 at once
ENCODED_ROWS = 4_096  # rows encoded at once


class LossRecovered(NamedTuple):
    """Mean cross-entropies of the next token in nats, and what of the loss is recovered.

    loss_recovered = (ce_zero - ce_spliced) / (ce_zero - ce_clean): 1 is as good as the model itself, 0 as bad as taking
    the hook point's samples away (zero ablation), as in Rajamanoharan et al., "Improving Dictionary Learning with Gated
    Sparse Autoencoders", 2024 (arXiv:2404.16014), after Bricken et al., "Towards Monosemanticity", 2023.
    loss_recovered_mean is the same about the hook point's mean over the same samples (mean ablation). Both are NaN where
    the ablation does not raise the loss.
    """

    loss_recovered: float
    loss_recovered_mean: float
    ce_clean: float
    ce_spliced: float
    ce_zero: float
    ce_mean: float
    tokens: int  # predictions counted: those made at samples of a next token in the same context
    contexts: int


class _Batch(NamedTuple):
    """Contexts padded on the right: token ids and mask i64, which positions are samples and which predictions count."""

    tokens: Tensor  # (batch, position)
    mask: Tensor  # (batch, position)
    is_sample: Tensor  # (batch, position) bool
    is_counted: Tensor  # (batch, position - 1) bool


@torch.inference_mode()
def measure_loss_recovered(
    loaded: LoadedModel,
    hook: str,
    sae: Sae,
    dataset: Dataset,
    contexts: npt.NDArray[np.integer] | None = None,
    batch_tokens: int = 1024,
    progress: Progress | None = None,
    stages: RowStages | None = None,
) -> LossRecovered | None:
    """Measure on the given contexts, else on all held-out ones; None for a model without an output head.

    Only samples are replaced: special and padding tokens pass as they are. Sums are float64. The SAE runs on the CPU in
    float32, behind its `stages`, the model where and in what it was loaded. Two passes over the contexts, four runs of the
    model in all; memory is bounded by `batch_tokens` (padding included) times the vocabulary. Raises BadInput for an unknown hook
    point, one of another width than the SAE's, and where nothing is held out.
    """
    if not loaded.has_unembedding:
        return None
    chosen = held_out_contexts(dataset) if contexts is None else np.asarray(contexts, np.int64)
    module, is_input = find_hook(loaded.model, hook)
    title = f"loss recovered at {hook}"
    sums = dict.fromkeys(("clean", "spliced", "zero", "mean"), 0.0)
    total, samples, counted = torch.zeros(sae.d_in, dtype=torch.float64), 0, 0
    with (progress or Progress()).step(title, total=2 * len(chosen), unit="contexts") as bar:
        for batch in _batches(dataset, chosen, batch_tokens, loaded.model.device):
            with capture_outputs({hook: module}, is_input) as captured:
                sums["clean"] += _loss(loaded, batch)
                require_width(captured[hook], sae.d_in, hook)
                total += captured[hook][batch.is_sample].double().sum(0).cpu()
            samples += int(batch.is_sample.sum())
            counted += int(batch.is_counted.sum())
            bar.advance(len(batch.tokens))
        if not counted:
            raise BadInput(
                f"No sample of the {len(chosen):,} contexts is followed by a token: nothing can be predicted."
            )
        mean = (total / samples).float()
        ways: dict[str, Callable[[Tensor], Tensor]] = {
            "spliced": lambda rows: reconstruct(sae, rows, stages),
            "zero": torch.zeros_like,
            "mean": lambda rows: mean.expand_as(rows),
        }
        for batch in _batches(dataset, chosen, batch_tokens, loaded.model.device):
            for name, way in ways.items():
                with spliced(module, _at_samples(batch.is_sample, way), is_input):
                    sums[name] += _loss(loaded, batch)
            bar.advance(len(batch.tokens))
    clean, replaced, zero, average = (sums[name] / counted for name in ("clean", "spliced", "zero", "mean"))
    recovered = _share(zero, replaced, clean), _share(average, replaced, clean)
    return LossRecovered(*recovered, clean, replaced, zero, average, counted, len(chosen))


def held_out_contexts(dataset: Dataset, most: int | None = None) -> npt.NDArray[np.int64]:
    """The held-out contexts, at most so many, spread evenly; raises BadInput where there are none."""
    found = np.flatnonzero(dataset.held_out)
    if not len(found):
        raise BadInput(f"Dataset '{dataset.id}' holds no contexts out. Build it with a held-out share.")
    if most is not None and most < 1:
        raise BadInput(f"The number of contexts is {most}; it must be at least 1.")
    if most is not None and most < len(found):
        found = found[np.linspace(0, len(found) - 1, most).astype(np.int64)]
    return found


def reconstruct(sae: Sae, rows: Tensor, stages: RowStages | None = None) -> Tensor:
    """What the SAE makes of captured rows [n, d_in], which go through `stages` first: float32, encoded in parts."""
    read = stages or RowStages()
    return torch.cat([read.code(sae, part).rebuilt for part in rows.split(ENCODED_ROWS)])


def keep(directory: Path, found: LossRecovered, about: dict[str, Any]) -> None:
    """Write the measurement beside the SAE, with what it was measured on (`fingerprints`, dataset, hook)."""
    values = {key: None if math.isnan(value) else value for key, value in found._asdict().items()}
    write_json(directory / NAME, {**about, **values})


def _share(ablated: float, replaced: float, clean: float) -> float:
    return (ablated - replaced) / (ablated - clean) if ablated > clean else math.nan


def _at_samples(is_sample: Tensor, way: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Replace the hidden states at samples by `way` of them, as float32 rows on the CPU; all others stay."""

    def replace(hidden: Tensor) -> Tensor:
        new = hidden.clone()
        rows = hidden[is_sample]
        new[is_sample] = way(rows.float().cpu()).to(rows)
        return new

    return replace


def _loss(loaded: LoadedModel, batch: _Batch) -> float:
    """Sum of the cross-entropies of the counted predictions."""
    logits = loaded.model(input_ids=batch.tokens, attention_mask=batch.mask).logits[:, :-1][batch.is_counted]
    targets = batch.tokens[:, 1:][batch.is_counted]
    parts = zip(logits.split(LOGIT_ROWS), targets.split(LOGIT_ROWS), strict=True)
    return sum(float(cross_entropy(rows.float(), right, reduction="none").double().sum()) for rows, right in parts)


def _batches(
    dataset: Dataset, contexts: npt.NDArray[np.int64], batch_tokens: int, device: torch.device
) -> Iterator[_Batch]:
    offsets = np.asarray(dataset.offsets)
    for places in plan_batches(offsets[contexts + 1] - offsets[contexts], batch_tokens):
        chosen = contexts[places]
        tokens, mask = pad(dataset, offsets, chosen)
        is_sample = torch.zeros(tokens.shape, dtype=torch.bool)
        for row, context in enumerate(chosen):
            first, last = dataset.sample_offsets[context], dataset.sample_offsets[context + 1]
            is_sample[row, torch.from_numpy(np.asarray(dataset.samples[first:last]) - offsets[context])] = True
        is_counted = is_sample[:, :-1] & mask[:, 1:].bool()
        yield _Batch(tokens.to(device), mask.to(device), is_sample.to(device), is_counted.to(device))
