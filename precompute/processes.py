"""The processes that train one SAE together, as `torchrun` starts them: alone, all of this does nothing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from loaders.errors import BadInput


class Processes:
    """This process's place among all, and what they tell each other; gloo between CPUs, NCCL between CUDA devices."""

    def __init__(self, rank: int = 0, size: int = 1, device: str = "cpu") -> None:
        self.rank, self.size, self.device = rank, size, device  # where tensors must lie to be handed on

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and records."""
        return self.rank == 0

    def average(self, values: list[float]) -> list[float]:
        """Means over the processes."""
        if self.size == 1:
            return values
        gathered: list[list[float]] = [[] for _ in range(self.size)]
        dist.all_gather_object(gathered, values)
        return [sum(column) / self.size for column in zip(*gathered, strict=True)]

    def share(self, gradients: list[Tensor], fired: Tensor) -> None:
        """Average `gradients` over the processes, in place, and join what fired (0 or 1)."""
        if self.size == 1:
            return
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient.div_(self.size)
        dist.all_reduce(fired, op=dist.ReduceOp.MAX)

    def gather(self, own: Tensor) -> Tensor:
        """`own` [n, ...] of every process, one after the other; all are equally long."""
        if self.size == 1:
            return own
        sent = own.to(self.device).contiguous()
        parts = [torch.empty_like(sent) for _ in range(self.size)]
        dist.all_gather(parts, sent)
        return torch.cat(parts).to(own.device)

    def exchange(self, rows: Tensor, outgoing: list[int], incoming: list[int]) -> Tensor:
        """Hand the next `outgoing[i]` of `rows` [n, width] to process i; returns what they hand to this one, one process's
        after the other's."""
        sent = rows.to(self.device).contiguous()
        arrived = sent.new_empty(sum(incoming), rows.shape[1])
        dist.all_to_all_single(arrived, sent, incoming, outgoing)
        return arrived.to(rows.device)

    def take(self, own: Tensor, places: Tensor) -> Tensor:
        """Rows `places` [n] of all `own` [rows, width], one process's after the other's, as every process sees them."""
        if self.size == 1:
            return own[places]
        places = places - self.rank * len(own)
        is_own = (places >= 0) & (places < len(own))
        found = own.new_zeros(len(places), own.shape[1])
        found[is_own] = own[places[is_own]]
        dist.all_reduce(found)  # one summand is no zero: exact
        return found

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def started_by_torchrun(device: str) -> Iterator[Processes]:
    """The processes of this run by the environment that `torchrun` sets (WORLD_SIZE, RANK); one where it does not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes()
        return
    if device not in ("cpu", "cuda"):
        raise BadInput(f"{size} processes share a run on cpu or cuda, one device each: found device '{device}'.")
    own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device
    if device == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), size, own)
    finally:
        dist.destroy_process_group()
