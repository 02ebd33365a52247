"""Rows straight from the model: contexts in a seeded order fill a shuffling buffer, for several hook points in one pass."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from loaders.dataset import Dataset
from loaders.errors import BadInput
from precompute.batches import Shard, locate_rows, pad, plan_batches
from precompute.capture import check_dataset, place_of
from precompute.hooks import run_until_captured
from precompute.models import LoadedModel, hook_points
from precompute.passes import Passes
from precompute.processes import Processes
from precompute.rows import SAMPLE_ROWS, Moments, normalise
from precompute.training_rows import require_enough

BATCH_TOKENS = 1024  # most tokens of a pass over the model, padding included


class Stream:
    """Runs the model over training contexts, a buffer of rows at a time, and keeps the rows of every hook point.

    The contexts of an epoch come in a random order; consecutive ones whose samples just reach `buffer` rows fill it, and its
    rows are handed out in a random order. The plan follows from dataset, buffer and seed alone, so that a resumed run
    harvests only the buffer that it stands in. Special and padding tokens are no samples and never enter it.

    Several processes make the passes over the model in turn, each its share, and hand each other the rows that they need:
    all must ask for the same things in the same order. The passes are those of one process, and so are the rows.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        dataset: Dataset,
        hooks: tuple[str, ...],
        buffer: int,
        seed: int,
        processes: Processes | None = None,
    ) -> None:
        """Raises BadInput for an unknown hook point and for a dataset that the model cannot read."""
        check_dataset(dataset, loaded)
        self._modules = {hook: place_of(loaded.model, hook) for hook in hooks}
        known = {
            inputs: {point.name: point.width for point in hook_points(loaded.model, inputs=inputs)}
            for inputs in {inputs for _, inputs in self._modules.values()}
        }
        for hook, (module, inputs) in self._modules.items():
            if module not in known[inputs]:
                raise BadInput(f"Hook point '{hook}' of model '{loaded.model_id}' has no hidden states to train on.")
        self.widths = {hook: known[inputs][module] for hook, (module, inputs) in self._modules.items()}
        self.loaded, self.dataset, self.seed = loaded, dataset, seed
        self.processes = processes or Processes()
        self.fingerprints = {"model": loaded.fingerprint, "dataset": dataset.fingerprint}
        self._counts = np.diff(dataset.sample_offsets)
        is_held_out = dataset.held_out.astype(bool)
        self._train, self._held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        self.train_rows = int(self._counts[self._train].sum())
        self.held_out_rows = int(self._counts[self._held_out].sum())
        self.buffer = buffer
        self._held: tuple[tuple[int, int, int], dict[str, Tensor]] | None = None
        self._checked: dict[str, Tensor] | None = None
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

    def batches(self, batch: int) -> int:
        """How many whole batches the first buffer holds."""
        return int(self._counts[self._plan(0)[0]].sum()) // batch

    def rows(self, epoch: int, number: int, batch: int = 1) -> dict[str, Tensor]:
        """The buffer's rows by hook point, shuffled alike, in the model's own units; the last one asked for is kept.

        Of each batch of `batch` rows this process has its share; what is left at the end the first process has.
        """
        if self._held is None or self._held[0] != (epoch, number, batch):
            self._held = None  # before the next one is made: one buffer at a time is in memory
            contexts = self._plan(epoch)[number]
            order = np.random.default_rng([self.seed, 2, epoch, number]).permutation(self._counts[contexts].sum())
            size, whole = self.processes.size, len(order) // batch * batch
            wanted = list(order[:whole].reshape(-1, size, batch // size).swapaxes(0, 1).reshape(size, -1))
            wanted[0] = np.concatenate([wanted[0], order[whole:]])
            self._held = ((epoch, number, batch), self._collect(contexts, wanted))
        return self._held[1]

    def checked(self) -> dict[str, Tensor]:
        """Rows of the first held-out contexts, for the first process."""
        if self._checked is None:
            self._checked = next(self.held_out())
        return self._checked

    def held_out(self) -> Iterator[dict[str, Tensor]]:
        """Rows of all held-out contexts in a seeded order, about SAMPLE_ROWS at a time, for the first process."""
        contexts = np.random.default_rng([self.seed, 1]).permutation(self._held_out)
        for some in _cut(contexts, self._counts, SAMPLE_ROWS):
            nothing = [np.empty(0, np.int64)] * (self.processes.size - 1)
            yield self._collect(some, [np.arange(self._counts[some].sum()), *nothing])

    def _collect(self, contexts: npt.NDArray[np.int64], wanted: list[npt.NDArray[np.int64]]) -> dict[str, Tensor]:
        """Of the contexts' rows by context and position those that each process wants: this one's, in its order."""
        passes, rank, size = list(self._passes(contexts)), self.processes.rank, self.processes.size
        reader = np.empty(len(self._counts), np.int64)  # the process that reads a context
        for number, some in enumerate(passes):
            reader[some] = number % size
        found = self.harvest(contexts[reader[contexts] == rank], passes[rank::size])
        if size == 1:
            return {hook: found.pop(hook)[wanted[0]] for hook in list(found)}
        reads = np.repeat(reader[contexts], self._counts[contexts])  # of each row
        place = np.empty(len(reads), np.int64)  # among those of its process
        for each in range(size):
            place[reads == each] = np.arange((reads == each).sum())
        given = [place[rows[reads[rows] == rank]] for rows in wanted]
        incoming = np.bincount(reads[wanted[rank]], minlength=size).tolist()
        order = np.argsort(reads[wanted[rank]], kind="stable")  # rows arrive by the process that read them
        collected = {}
        for hook in self.widths:
            sent = found.pop(hook)[np.concatenate(given)]
            arrived = self.processes.exchange(sent, [len(rows) for rows in given], incoming)
            collected[hook] = torch.empty_like(arrived)
            collected[hook][order] = arrived
        return collected

    def _passes(self, contexts: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        """The contexts of each pass over the model."""
        lengths = np.diff(np.asarray(self.dataset.offsets))[contexts]
        return (contexts[some] for some in plan_batches(lengths, BATCH_TOKENS))

    def harvest(
        self, contexts: npt.NDArray[np.int64], passes: list[npt.NDArray[np.int64]] | None = None
    ) -> dict[str, Tensor]:
        """Rows of the given contexts at every hook point, float32 [samples, width], by context and position.

        `passes` names the contexts that the model reads together, where it is not all of them as they fit best.
        """
        offsets = np.asarray(self.dataset.offsets)
        everything = Shard(0, 0, len(self._counts), 0, int(self.dataset.sample_offsets[-1]))
        place = np.zeros(len(self._counts) + 1, np.int64)  # of each given context's first row
        place[contexts] = np.cumsum(self._counts[contexts]) - self._counts[contexts]
        bounds = np.asarray(self.dataset.sample_offsets)
        total = int(self._counts[contexts].sum())
        filled = {hook: torch.empty(total, width) for hook, width in self.widths.items()}
        received = {hook for hook, (_, inputs) in self._modules.items() if inputs}

        def read(model: nn.Module, batch: npt.NDArray[np.int64]) -> tuple[Tensor, dict[str, Tensor]]:
            modules = {hook: model.get_submodule(module) for hook, (module, _) in self._modules.items()}
            tokens, mask = pad(self.dataset, offsets, batch)
            device = self.loaded.model.device
            captured = run_until_captured(
                model, modules, received, input_ids=tokens.to(device), attention_mask=mask.to(device)
            )
            rows, of_context, positions = locate_rows(self.dataset, everything, offsets, batch)
            own = batch[of_context.numpy()]
            return torch.from_numpy(rows - bounds[own] + place[own]), {
                hook: captured[hook][of_context, positions].float().cpu() for hook in self.widths
            }

        with Passes(self.loaded.model, read) as readers:
            for rows, parts in readers.map(self._passes(contexts) if passes is None else passes):
                for hook, part in parts.items():
                    filled[hook][rows] = part
        return filled

    def _plan(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Contexts of each buffer of an epoch; the last one holds what is left."""
        if epoch not in self._plans:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(self._train)
            self._plans[epoch] = list(_cut(order, self._counts, self.buffer))
        return self._plans[epoch]


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
        first = stream.rows(0, 0, batch)[hook]
        moments = Moments(self.width)
        moments.add(first)
        moments.join(stream.processes)
        found = moments.normalisation()
        if found is None:
            raise BadInput(f"Hook point '{hook}' hands on rows that are not finite, or all alike. Choose another.")
        self.mean, self.scale = found
        self.sample = normalise(self._first_rows(first), self.mean, self.scale)
        self.checked = stream.checked()[hook]

    def _first_rows(self, own: Tensor) -> Tensor:
        """Rows of the first batches, SAMPLE_ROWS at most, of all processes; `own` are this one's."""
        size = self._stream.processes.size
        batches = min(-(-SAMPLE_ROWS // self._batch), self._stream.batches(self._batch))
        shares = self._stream.processes.gather(own[: batches * self._batch // size])
        whole = shares.view(size, batches, -1, self.width).transpose(0, 1).reshape(-1, self.width)
        return whole[:SAMPLE_ROWS].clone()

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Tensor:
        """Rows left over at a buffer's end, fewer than a batch, are dropped; several processes have one part each."""
        epoch, number, place = self._stream.locate(step, self._batch)
        size = self._stream.processes.size
        own = self._stream.rows(epoch, number, self._batch)[self._hook]
        share = own[place * self._batch // size :][: self._batch // size].view(parts // size, -1, self.width)
        return normalise(share[part % len(share)].clone(), self.mean, self.scale)


def _cut(contexts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], most: int) -> Iterator[npt.NDArray[np.int64]]:
    """Consecutive contexts whose samples just reach `most`; a last part of fewer."""
    ends = np.cumsum(counts[contexts])
    start = 0
    while start < len(contexts):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + most)) + 1
        yield contexts[start:stop]
        start = stop
