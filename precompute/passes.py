"""Run a model over many batches at once: on a CPU a thread for each batch, which is faster than many threads for one."""

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Passes(Generic[Batch, Result]):
    """Maps `work(model, batch)` over batches, as many at once as torch has threads; a single one on an accelerator.

    Each worker has a model of its own that shares the weights, so hooks do not meet, and computes on one thread, so
    results do not depend on the number of workers. Use as a context manager.
    """

    def __init__(self, model: nn.Module, work: Callable[[Any, Batch], Result]) -> None:
        self._model, self._work = model, work
        self._own = threading.local()
        self._threads = torch.get_num_threads()
        on_cpu = next(model.parameters()).device.type == "cpu"
        self._pool = ThreadPoolExecutor(self._threads if on_cpu else 1, initializer=self._start if on_cpu else None)

    def __enter__(self) -> "Passes[Batch, Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self._threads)  # threads that start later would else begin with the workers' one

    def map(self, batches: Iterable[Batch]) -> Iterator[Result]:
        """Yield the results in the order of the batches; the first error is raised."""
        return self._pool.map(self._run, batches)

    def _start(self) -> None:
        torch.set_num_threads(1)
        self._own.model = share_weights(self._model)

    def _run(self, batch: Batch) -> Result:
        with torch.inference_mode():
            return self._work(getattr(self._own, "model", self._model), batch)


def share_weights(model: nn.Module) -> nn.Module:
    """A copy of the modules around the very same parameters and buffers."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})
