"""Rows straight from the model: contexts in a seeded order fill a shuffling buffer, for several hook points in one pass."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from loaders.dataset import Dataset
from loaders.errors import BadInput
from precompute.batches import Shard, locate_rows, pad, plan_batches
from precompute.capture import check_dataset
from precompute.hooks import run_until_captured
from precompute.models import LoadedModel, hook_points, resolve_hook
from precompute.passes import Passes
from precompute.rows import SAMPLE_ROWS, Moments, normalise
from precompute.training_rows import require_enough

BATCH_TOKENS = 1024  # most tokens of a pass over the model, padding included


class Stream:
    """Runs the model over training contexts, a buffer of rows at a time, and keeps the rows of every hook point.

    The contexts of an epoch come in a random order; consecutive ones whose samples just reach `buffer` rows fill it, and its
    rows are handed out in a random order. The plan follows from dataset, buffer and seed alone, so that a resumed run
    harvests only the buffer that it stands in. Special and padding tokens are no samples and never enter it.
    """

    def __init__(self, loaded: LoadedModel, dataset: Dataset, hooks: tuple[str, ...], buffer: int, seed: int) -> None:
        """Raises BadInput for an unknown hook point and for a dataset that the model cannot read."""
        check_dataset(dataset, loaded)
        known = {point.name: point.width for point in hook_points(loaded.model)}
        for hook in hooks:
            resolve_hook(loaded.model, hook)
            if hook not in known:
                raise BadInput(f"Hook point '{hook}' of model '{loaded.model_id}' has no hidden states to train on.")
        self.widths = {hook: known[hook] for hook in dict.fromkeys(hooks)}
        self.loaded, self.dataset, self.seed = loaded, dataset, seed
        self.fingerprints = {"model": loaded.fingerprint, "dataset": dataset.fingerprint}
        self._counts = np.diff(dataset.sample_offsets)
        is_held_out = dataset.held_out.astype(bool)
        self._train, self._held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        self.train_rows = int(self._counts[self._train].sum())
        self.held_out_rows = int(self._counts[self._held_out].sum())
        self.buffer = buffer
        self._held: tuple[tuple[int, int], dict[str, Tensor]] | None = None
        self._plans: dict[int, list[npt.NDArray[np.int64]]] = {}

    def locate(self, step: int, batch: int) -> tuple[int, int, int]:
        """The epoch, the buffer in it, and the batch in that, of step 0, 1, ..."""
        epoch = 0
        while True:
            for number, contexts in enumerate(self._plan(epoch)):
                batches = int(self._counts[contexts].sum()) // batch
                if step < batches:
                    return epoch, number, step
                step -= batches
            epoch += 1

    def rows(self, epoch: int, number: int) -> dict[str, Tensor]:
        """The buffer's rows by hook point, shuffled alike, in the model's own units; the last one asked for is kept."""
        if self._held is None or self._held[0] != (epoch, number):
            self._held = None  # before the next one is made: one buffer at a time is in memory
            found = self.harvest(self._plan(epoch)[number])
            order = torch.from_numpy(
                np.random.default_rng([self.seed, 2, epoch, number]).permutation(self._size(found))
            )
            self._held = ((epoch, number), {hook: rows[order] for hook, rows in found.items()})
        return self._held[1]

    def held_out_contexts(self) -> Iterator[npt.NDArray[np.int64]]:
        """All held-out contexts in a seeded order, some of at most SAMPLE_ROWS samples together at a time."""
        contexts = np.random.default_rng([self.seed, 1]).permutation(self._held_out)
        yield from _cut(contexts, self._counts, SAMPLE_ROWS)

    def harvest(self, contexts: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        """Rows of the given contexts at every hook point, float32 [samples, width], by context and position."""
        offsets = np.asarray(self.dataset.offsets)
        everything = Shard(0, 0, len(self._counts), 0, int(self.dataset.sample_offsets[-1]))
        place = np.zeros(len(self._counts) + 1, np.int64)  # of each given context's first row
        place[contexts] = np.cumsum(self._counts[contexts]) - self._counts[contexts]
        bounds = np.asarray(self.dataset.sample_offsets)
        total = int(self._counts[contexts].sum())
        filled = {hook: torch.empty(total, width) for hook, width in self.widths.items()}

        def read(model: nn.Module, batch: npt.NDArray[np.int64]) -> tuple[Tensor, dict[str, Tensor]]:
            modules = {hook: model.get_submodule(hook) for hook in self.widths}
            tokens, mask = pad(self.dataset, offsets, batch)
            device = self.loaded.model.device
            captured = run_until_captured(model, modules, input_ids=tokens.to(device), attention_mask=mask.to(device))
            rows, of_context, positions = locate_rows(self.dataset, everything, offsets, batch)
            own = batch[of_context.numpy()]
            return torch.from_numpy(rows - bounds[own] + place[own]), {
                hook: captured[hook][of_context, positions].float().cpu() for hook in self.widths
            }

        plan = (contexts[some] for some in plan_batches(np.diff(offsets)[contexts], BATCH_TOKENS))
        with Passes(self.loaded.model, read) as passes:
            for rows, parts in passes.map(plan):
                for hook, part in parts.items():
                    filled[hook][rows] = part
        return filled

    def _plan(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Contexts of each buffer of an epoch; the last one holds what is left."""
        if epoch not in self._plans:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(self._train)
            self._plans[epoch] = list(_cut(order, self._counts, self.buffer))
        return self._plans[epoch]

    @staticmethod
    def _size(found: dict[str, Tensor]) -> int:
        return len(next(iter(found.values())))


class StreamedRows:
    """`Rows` of one hook point of a stream; mean and scale are those of its first buffer."""

    def __init__(self, stream: Stream, hook: str, batch: int) -> None:
        """Raises BadInput for too few samples or too small a buffer, and for rows that are not finite, or all alike."""
        require_enough(stream.dataset.id, stream.train_rows, stream.held_out_rows, batch)
        if stream.buffer < batch:
            raise BadInput(f"A buffer of {stream.buffer:,} rows holds no batch of {batch:,}. Choose a larger buffer.")
        self._stream, self._hook, self._batch = stream, hook, batch
        self.width, self.fingerprints = stream.widths[hook], stream.fingerprints
        self.model_name, self.held_out_rows = stream.loaded.name, stream.held_out_rows
        first = stream.rows(0, 0)[hook]
        moments = Moments(self.width)
        moments.add(first)
        found = moments.normalisation()
        if found is None:
            raise BadInput(f"Hook point '{hook}' hands on rows that are not finite, or all alike. Choose another.")
        self.mean, self.scale = found
        self.sample = normalise(first[:SAMPLE_ROWS].clone(), self.mean, self.scale)
        self.checked = stream.harvest(next(stream.held_out_contexts()))[hook]

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Tensor:
        """Rows left over at a buffer's end, fewer than a batch, are dropped."""
        epoch, number, place = self._stream.locate(step, self._batch)
        whole = self._stream.rows(epoch, number)[self._hook][place * self._batch :][: self._batch]
        return normalise(whole.view(parts, -1, self.width)[part].clone(), self.mean, self.scale)

    def held_out(self) -> Iterator[Tensor]:
        for contexts in self._stream.held_out_contexts():
            yield self._stream.harvest(contexts)[self._hook]


def _cut(contexts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], most: int) -> Iterator[npt.NDArray[np.int64]]:
    """Consecutive contexts whose samples just reach `most`; a last part of fewer."""
    ends = np.cumsum(counts[contexts])
    start = 0
    while start < len(contexts):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + most)) + 1
        yield contexts[start:stop]
        start = stop
