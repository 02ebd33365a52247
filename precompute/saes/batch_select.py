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
    rank: int  # this one's place among them

    def gather(self, own: Tensor) -> Tensor:
        """`own` [n] of every process, one after the other."""


def select_batch(pre: Tensor, k: int, everyone: Everyone | None = None) -> Selected:
    """The k * rows largest entries of `pre` [rows, d_sae], after a ReLU; of entries that tie with the smallest, those of the
    first rows, and in a row the lowest indices, fill what room is left.

    With `everyone` the batch is that of all processes, and this one keeps its share.
    """
    flat = pre.view(-1)
    count = min(k * len(pre), len(flat))
    if everyone is None:
        threshold = threshold_of(flat, count)
    else:
        own = flat.topk(min(count * everyone.size, len(flat)), sorted=False).values
        count *= everyone.size
        threshold = threshold_of(everyone.gather(own), count)
    least = threshold.clamp(min=torch.finfo(pre.dtype).tiny)
    places = (flat >= least).nonzero().view(-1)
    values = flat[places]
    ties = (values == least).nonzero().view(-1)  # in the order of rows and columns
    room = _room(count, len(values) - len(ties), len(ties), pre.device, everyone)
    if room < len(ties):
        is_kept = torch.ones_like(values, dtype=torch.bool)
        is_kept[ties[room:]] = False
        places, values = places[is_kept], values[is_kept]
    firsts = torch.arange(len(pre) + 1, device=pre.device) * pre.shape[1]  # the place where each row begins
    starts = torch.searchsorted(places, firsts)
    columns = places - firsts[:-1].repeat_interleave(starts.diff(), output_size=len(places))
    return Selected(starts.int(), columns.int(), values.float())


def _room(count: int, above: int, ties: int, device: torch.device, everyone: Everyone | None) -> int:
    """How many of this process's ties are among the `count` largest of the batch; earlier processes have earlier rows."""
    if everyone is None:
        return count - above
    found = everyone.gather(torch.tensor([above, ties], device=device)).view(-1, 2)
    before = int(found[: everyone.rank, 1].sum())
    return max(count - int(found[:, 0].sum()) - before, 0)


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
