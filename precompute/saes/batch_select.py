"""The exact largest entries of a whole batch, without sorting it."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Selected(NamedTuple):
    """The active latents of a batch as CSR, in no order within a row; one that the ReLU closed has the value 0."""

    starts: Tensor  # (rows + 1) int32
    indices: Tensor  # (active) int32
    values: Tensor  # (active) float32, >= 0


class Everyone(Protocol):
    """All processes of a run, among which a batch is spread."""

    size: int

    def gather(self, own: Tensor) -> Tensor:
        """`own` [n] of every process, one after the other."""


def select_batch(pre: Tensor, k: int, everyone: Everyone | None = None) -> Selected:
    """The k * rows largest entries of `pre` [rows, d_sae], after a ReLU; entries that tie with the smallest are all kept.

    With `everyone` the batch is that of all processes, and this one keeps its share.
    """
    flat = pre.view(-1)
    count = min(k * len(pre), len(flat))
    if everyone is None:
        threshold = threshold_of(flat, count)
    else:
        own = flat.topk(min(count * everyone.size, len(flat)), sorted=False).values
        threshold = threshold_of(everyone.gather(own), count * everyone.size)
    rows, columns = (pre >= threshold.clamp(min=torch.finfo(pre.dtype).tiny)).nonzero(as_tuple=True)
    starts = torch.zeros(len(pre) + 1, dtype=torch.int32, device=pre.device)
    starts[1:] = torch.bincount(rows, minlength=len(pre)).cumsum(0)
    return Selected(starts, columns.int(), pre[rows, columns].float())


def threshold_of(entries: Tensor, count: int) -> Tensor:
    """The `count`-th largest of `entries` [n].

    Groups of entries are represented by their maxima first: at least `count` entries reach the `count`-th largest maximum,
    so only entries that reach it are searched.
    """
    size = len(entries) // (4 * count)
    if size > 1:
        maxima = entries[: len(entries) // size * size].view(-1, size).amax(1)
        entries = entries[entries >= _largest(maxima, count)]
    return _largest(entries, count)


def _largest(entries: Tensor, count: int) -> Tensor:
    return entries.kthvalue(len(entries) - count + 1).values
