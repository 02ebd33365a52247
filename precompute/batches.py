"""Cut a dataset into shards and batches, always in the same way, and find each batch's samples again."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from loaders.dataset import Dataset


class Shard(NamedTuple):
    """Consecutive contexts first..stop of the dataset; `start` is their first sample, `rows` the number of samples."""

    number: int
    first: int
    stop: int
    start: int
    rows: int

    @property
    def file(self) -> str:
        return f"shard_{self.number:04d}.npy"


def plan_shards(sample_offsets: np.ndarray, most: int) -> Iterator[Shard]:
    """Cut the dataset into runs of whole contexts of at most `most` samples; a longer context is a shard of its own."""
    first, contexts = 0, len(sample_offsets) - 1
    number = 0
    while first < contexts:
        start = int(sample_offsets[first])
        stop = int(np.searchsorted(sample_offsets, start + most, side="right")) - 1
        stop = min(max(stop, first + 1), contexts)
        yield Shard(number, first, stop, start, int(sample_offsets[stop]) - start)
        first, number = stop, number + 1


def plan_batches(lengths: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Group contexts of similar length, the longest first, so that little is padded: indices into `lengths`."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(most // int(lengths[order[start]]), 1)
        yield order[start : start + size]
        start += size


def pad(dataset: Dataset, offsets: np.ndarray, batch: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask of a batch, i64 (batch, position), padded on the right."""
    lengths = offsets[batch + 1] - offsets[batch]
    mask = np.arange(lengths.max()) < lengths[:, None]
    tokens = np.full(mask.shape, dataset.manifest["tokenizer"].get("pad_id", 0), dtype=np.int64)
    tokens[mask] = np.concatenate([dataset.tokens[offsets[i] : offsets[i + 1]] for i in batch])
    return torch.from_numpy(tokens), torch.from_numpy(mask.astype(np.int64))


def locate_rows(
    dataset: Dataset, shard: Shard, offsets: np.ndarray, batch: np.ndarray
) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Of every sample in a batch: its row in the shard, its context's place in the batch, its position in the context."""
    bounds = dataset.sample_offsets[shard.first : shard.stop + 1]
    samples = [np.arange(bounds[i], bounds[i + 1]) for i in batch]
    contexts = np.repeat(np.arange(len(batch)), [len(part) for part in samples])
    rows = np.concatenate(samples)
    positions = dataset.samples[rows] - offsets[batch][contexts]
    return rows - shard.start, torch.from_numpy(contexts), torch.from_numpy(positions)
