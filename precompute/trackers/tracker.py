"""What a tracker of training runs is: it receives a run's settings, then its metrics step by step, then its end."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from loaders.errors import BadInput

FINAL = "final/"
"""Before the names of the metrics of a finished run, where a tracker has one list for all metrics."""


class Tracker(Protocol):
    """One run at a time: `start`, many `log`, `finish`. Whatever fails may raise any exception."""

    name: str

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        """Begin the run of that id under a name to show, or go on with it; returns the last step that it holds, else 0."""
        ...

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Metrics of one step, counted from 1; steps ascend."""
        ...

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        """The run ended as done, failed or stopped, with its final metrics."""
        ...


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a module of an optional package; raises BadInput with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise BadInput(
            f"Tracker '{extra}' needs packages that are not installed ({error}). Run `pip install -e '.[{extra}]'`."
        ) from error
