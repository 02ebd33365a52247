"""Run planned tasks in order, showing each on the terminal and as a job of the catalog."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from catalog.catalog import Catalog
from catalog.jobs import put_job
from loaders.workspace import Workspace
from precompute.lock import is_helper
from precompute.progress import Progress
from precompute.sinks import JobSink, TerminalSink


class Task(NamedTuple):
    """One step of a pipeline: `run` skips what is complete and raises a LoupeError that a person can act on."""

    id: str
    title: str
    run: Callable[[Progress], object]


def run_tasks(tasks: list[Task], catalog: Catalog) -> None:
    """Announce all tasks as waiting, then run them; the first failure stops the rest and is raised."""
    for position, task in enumerate(tasks):
        put_job(catalog, task.id, task.title, position, "waiting")
    for position, task in enumerate(tasks):
        sink = JobSink(catalog, task.id, task.title, position)
        sink.start()
        try:
            task.run(Progress(TerminalSink(f"[{position + 1}/{len(tasks)}] "), sink))
        except BaseException as error:
            is_failure = isinstance(error, Exception)
            sink.close(
                "failed" if is_failure else "stopped", str(error) if is_failure else "stopped; run again to continue"
            )
            raise
        sink.close("done")


def run_alone(step: ModuleType, config: object, workspace: Workspace) -> object:
    """Run one step from the command line with progress on the terminal."""
    progress = Progress() if is_helper() else Progress(TerminalSink())
    wanted = inspect.signature(step.run).parameters
    extra = {"catalog": Catalog(workspace.catalog_url)} if "catalog" in wanted else {}
    return step.run(config, workspace, progress, **extra)
