"""Where runs that train together get their rows from: saved activations, or the model itself; hands on `Rows` by hook point."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from torch import Tensor

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.activations import Activations
from precompute.models import load_model
from precompute.processes import Processes
from precompute.rows import Rows
from precompute.streamed_rows import Stream, StreamedRows
from precompute.train_config import Config
from precompute.training_rows import TrainingRows, agreed_fingerprints

SHARED = ("model", "model_id", "dataset_id", "batch", "memory", "seed", "buffer", "device")


class RowSource(Protocol):
    """Knows widths and fingerprints at once; `rows` reads or harvests, once for each hook point."""

    def width(self, hook: str) -> int: ...
    def most(self) -> int: ...  # rows that a batch can be drawn from
    def fingerprints(self, hook: str) -> dict[str, str]: ...
    def rows(self, hook: str, batch: int) -> Rows: ...
    def held_out(
        self, hooks: set[str]
    ) -> Iterator[dict[str, Tensor]]: ...  # all, in the model's units, to the first process


def open_source(configs: list[Config], workspace: Workspace, processes: Processes | None = None) -> RowSource:
    """The source of these runs; raises BadInput where they do not share what they must."""
    first = configs[0]
    for name in SHARED:
        if any(getattr(config, name) != getattr(first, name) for config in configs):
            raise BadInput(f"SAEs that are trained together share their {name}. Train them one after the other.")
    sharing = processes or Processes()
    return _FromModel(configs, workspace, sharing) if first.model else _FromDisk(first, workspace, sharing)


class _FromDisk:
    def __init__(self, config: Config, workspace: Workspace, processes: Processes) -> None:
        self._config, self._workspace, self._processes = config, workspace, processes
        self._dataset = workspace.dataset(config.dataset_id)
        self._rows: dict[str, TrainingRows] = {}

    def _activations(self, hook: str) -> Activations:
        return Activations.open(self._workspace.activations_dir(self._config.model_id, self._config.dataset_id, hook))

    def width(self, hook: str) -> int:
        return self._activations(hook).width

    def most(self) -> int:
        return int(np.diff(self._dataset.sample_offsets)[~self._dataset.held_out.astype(bool)].sum())

    def fingerprints(self, hook: str) -> dict[str, str]:
        return agreed_fingerprints(self._activations(hook), self._dataset)

    def rows(self, hook: str, batch: int) -> Rows:
        if hook not in self._rows:
            self._rows[hook] = TrainingRows(self._activations(hook), self._dataset, batch, self._config.seed)
        return self._rows[hook]

    def held_out(self, hooks: set[str]) -> Iterator[dict[str, Tensor]]:
        if self._processes.is_first:
            for blocks in zip(*(self._rows[hook].held_out() for hook in hooks), strict=True):
                yield dict(zip(hooks, blocks, strict=True))


class _FromModel:
    def __init__(self, configs: list[Config], workspace: Workspace, processes: Processes) -> None:
        first = configs[0]
        loaded = load_model(first.model, first.device, trust_remote_code=first.trust_remote_code)
        if loaded.model_id != first.model_id:
            raise BadInput(f"Model '{first.model}' has the id '{loaded.model_id}', not '{first.model_id}'.")
        hooks = tuple(config.hook for config in configs)
        dataset = workspace.dataset(first.dataset_id)
        self._stream = Stream(loaded, dataset, hooks, first.buffer, first.seed, processes)
        self._rows: dict[str, Rows] = {}

    def width(self, hook: str) -> int:
        return self._stream.widths[hook]

    def most(self) -> int:
        return min(self._stream.buffer, self._stream.train_rows)

    def fingerprints(self, hook: str) -> dict[str, str]:
        return self._stream.fingerprints

    def rows(self, hook: str, batch: int) -> Rows:
        if hook not in self._rows:
            self._rows[hook] = StreamedRows(self._stream, hook, batch)
        return self._rows[hook]

    def held_out(self, hooks: set[str]) -> Iterator[dict[str, Tensor]]:
        yield from self._stream.held_out()
