"""Rows from saved activations: any row is at hand, so an epoch shuffles them all."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from loaders.dataset import Dataset
from loaders.errors import BadInput
from precompute.activations import Activations
from precompute.rows import SAMPLE_ROWS, Moments, normalise

READ_ROWS = 16_384  # rows read at once in a pass over many
BLOCK_BYTES = 2**30  # larger activations are shuffled in blocks of this size, so that a block stays in the page cache


class TrainingRows:
    """`Rows` of one directory of captured activations; rows of held-out contexts are never trained on."""

    def __init__(self, activations: Activations, dataset: Dataset, batch: int, seed: int) -> None:
        """Raises BadInput where the rows are not the dataset's samples, not finite, or too few for one batch."""
        self.fingerprints = agreed_fingerprints(activations, dataset)
        self.model_name = str(activations.manifest["model"])
        samples = len(dataset.samples)
        if activations.rows != samples:
            raise BadInput(
                f"'{activations.path}' has {activations.rows:,} rows; dataset '{dataset.id}' has {samples:,} samples."
                " Delete that directory and run `loupe capture` again."
            )
        is_held_out = np.repeat(dataset.held_out, np.diff(dataset.sample_offsets))
        self.train, self._held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        require_enough(dataset.id, len(self.train), len(self._held_out), batch)
        self.width, self.seed, self._activations, self._batch = activations.width, seed, activations, batch
        self.held_out_rows = len(self._held_out)
        self._block = max(BLOCK_BYTES // (activations.width * 2), batch)
        self._order = lru_cache(maxsize=1)(self._shuffle)
        self.mean, self.scale = self._measure()
        self.sample = self._normalised(self._order(0)[:SAMPLE_ROWS])
        subset = np.random.default_rng([seed, 1]).permutation(self._held_out)[:SAMPLE_ROWS]
        self.checked = torch.from_numpy(activations.take(np.sort(subset)))

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Tensor:
        """Every epoch has a new order; rows left over at its end, fewer than a batch, wait for another epoch."""
        epoch, place = divmod(step, len(self.train) // self._batch)
        rows = self._order(epoch)[place * self._batch :][: self._batch]
        return self._normalised(rows.reshape(parts, -1)[part])

    def held_out(self) -> Iterator[Tensor]:
        return self._raw(self._held_out)

    def _normalised(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return normalise(torch.from_numpy(self._activations.take(rows)), self.mean, self.scale)

    def _raw(self, rows: npt.NDArray[np.int64]) -> Iterator[Tensor]:
        for start in range(0, len(rows), READ_ROWS):
            yield torch.from_numpy(self._activations.take(rows[start : start + READ_ROWS]))

    def _shuffle(self, epoch: int) -> npt.NDArray[np.int64]:
        """Training rows in the epoch's order: blocks in random order, the rows of a block in random order."""
        generator = np.random.default_rng([self.seed, 0, epoch])
        blocks = np.array_split(self.train, -(-len(self.train) // self._block))
        return np.concatenate([generator.permutation(blocks[number]) for number in generator.permutation(len(blocks))])

    def _measure(self) -> tuple[Tensor, float]:
        moments = Moments(self.width)
        for rows in self._raw(self.train):
            moments.add(rows)
        found = moments.normalisation()
        if found is None:
            raise BadInput(
                f"'{self._activations.path}' has rows that are not finite, or all alike. Capture them again."
            )
        return found


def require_enough(dataset_id: str, train: int, held_out: int, batch: int) -> None:
    """Raise BadInput where a dataset has fewer samples than one batch takes, or none held out."""
    if train < batch or not held_out:
        raise BadInput(
            f"Dataset '{dataset_id}' has {train:,} training and {held_out:,} held-out samples, but a"
            f" batch takes {batch:,} and one at least must be held out. Choose a smaller batch or a larger dataset."
        )


def agreed_fingerprints(activations: Activations, dataset: Dataset) -> dict[str, str]:
    """Fingerprints of model and dataset behind the activations; raises BadInput when they are of another dataset."""
    found = {name: str(activations.manifest["fingerprints"][name]) for name in ("model", "dataset")}
    if found["dataset"] != dataset.fingerprint:
        raise BadInput(
            f"The activations at '{activations.path}' are of another version of dataset '{dataset.id}' (fingerprint"
            f" {found['dataset'][:12]}, wanted {dataset.fingerprint[:12]}). Delete them and run `loupe capture` again."
        )
    return found
