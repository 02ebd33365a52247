"""The rows an SAE learns from: captured activations, centred and scaled, in a seeded order, the held-out rows kept apart."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from loaders.dataset import Dataset
from loaders.errors import BadInput
from precompute.activations import Activations

READ_ROWS = 16_384  # rows read at once in a pass over many
BLOCK_BYTES = 2**30  # larger activations are shuffled in blocks of this size, so that a block stays in the page cache


class TrainingRows:
    """Rows as (x - mean) * scale: `mean` [width] of the training rows, `scale` such that E|x|^2 = width on them.

    Rows of held-out contexts are never trained on. Which rows a step sees depends on the seed and the step alone, so a
    resumed run goes on where it stopped.
    """

    def __init__(self, activations: Activations, dataset: Dataset, batch: int, seed: int) -> None:
        """Raises BadInput where the rows are not the dataset's samples, not finite, or too few for one batch."""
        samples = len(dataset.samples)
        if activations.rows != samples:
            raise BadInput(
                f"'{activations.path}' has {activations.rows:,} rows; dataset '{dataset.id}' has {samples:,} samples."
                " Delete that directory and run `loupe capture` again."
            )
        is_held_out = np.repeat(dataset.held_out, np.diff(dataset.sample_offsets))
        self.train, self.held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        if len(self.train) < batch or not len(self.held_out):
            raise BadInput(
                f"Dataset '{dataset.id}' has {len(self.train):,} training and {len(self.held_out):,} held-out samples, but a"
                f" batch takes {batch:,} and one at least must be held out. Choose a smaller batch or a larger dataset."
            )
        self.width, self.seed, self._activations, self._batch = activations.width, seed, activations, batch
        self._block = max(BLOCK_BYTES // (activations.width * 2), batch)
        self._order = lru_cache(maxsize=1)(self._shuffle)
        self.mean, self.scale = self._measure()

    def normalise(self, rows: npt.NDArray[np.float32]) -> Tensor:
        """(x - mean) * scale; changes and returns the memory of `rows` [n, width]."""
        return torch.from_numpy(rows).sub_(self.mean).mul_(self.scale)

    def batch(self, step: int) -> Tensor:
        """The normalised rows of step 0, 1, ...: [batch, width]. Every epoch has a new order."""
        epoch, place = divmod(step, len(self.train) // self._batch)
        return self.normalise(self._activations.take(self._order(epoch)[place * self._batch :][: self._batch]))

    def raw(self, rows: npt.NDArray[np.int64]) -> Iterator[Tensor]:
        """The given rows in the model's own units, float32 [at most READ_ROWS, width] at a time."""
        for start in range(0, len(rows), READ_ROWS):
            yield torch.from_numpy(self._activations.take(rows[start : start + READ_ROWS]))

    def held_out_subset(self, count: int) -> npt.NDArray[np.int64]:
        """A fixed subset of the held-out rows, drawn with the seed: what is measured while training runs."""
        chosen = np.random.default_rng([self.seed, 1]).permutation(self.held_out)[:count]
        return np.sort(chosen)

    def _shuffle(self, epoch: int) -> npt.NDArray[np.int64]:
        """Training rows in the epoch's order: blocks in random order, the rows of a block in random order."""
        generator = np.random.default_rng([self.seed, 0, epoch])
        blocks = np.array_split(self.train, -(-len(self.train) // self._block))
        return np.concatenate([generator.permutation(blocks[number]) for number in generator.permutation(len(blocks))])

    def _measure(self) -> tuple[Tensor, float]:
        total, squares = torch.zeros(self.width, dtype=torch.float64), 0.0
        for rows in self.raw(self.train):
            total += rows.sum(0, dtype=torch.float64)
            squares += float(rows.double().square().sum())
        mean = total / len(self.train)
        variance = squares / len(self.train) - float(mean @ mean)
        if not np.isfinite(variance) or variance <= 0:
            raise BadInput(
                f"'{self._activations.path}' has rows that are not finite, or all alike. Capture them again."
            )
        return mean.float(), float(np.sqrt(self.width / variance))
