"""Independent tasks of a step, through joblib: on this machine's cores, a Dask cluster or a Ray cluster.

A step cuts its work into tasks in one way whatever runs them, so the same bytes come out on any number of workers. All
workers must see the workspace's directory under the same path.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import joblib
from threadpoolctl import threadpool_limits

from loaders.errors import BadInput

BACKENDS = ("loky", "dask", "ray")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Distributed:
    """Where the tasks of a step run; what comes out does not depend on it."""

    jobs: int = 1
    """Tasks at once; -1: one per core."""
    backend: str = "loky"
    """What runs them: `loky` (processes of this machine), `dask` (DASK_SCHEDULER_ADDRESS) or `ray`."""


def in_order(
    function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int, backend: str
) -> Iterator[Result]:
    """Yield `function(*task)` for each task, in the order of the tasks (`jobs`, `backend`: see `Distributed`).

    Raises BadInput for an unknown backend, one that is not installed, no named Dask cluster, or 0 jobs.
    """
    if backend not in BACKENDS:
        raise BadInput(f"There is no backend '{backend}'. Choose one of {', '.join(BACKENDS)}.")
    if jobs == 0 or jobs < -1:
        raise BadInput(f"--jobs must be at least 1, or -1 for one per core: found {jobs}.")
    if backend == "loky" and (jobs == 1 or len(tasks) <= 1):
        yield from (_steadily(function, *task) for task in tasks)
        return
    with _backend(backend):
        one_by_one = "list" if backend == "ray" else "generator"  # Ray's own joblib backend hands on all or nothing
        parallel = joblib.Parallel(n_jobs=jobs, return_as=one_by_one)
        yield from parallel(joblib.delayed(_steadily)(function, *task) for task in tasks)


def _steadily(function: Callable[..., Result], *task: Any) -> Result:
    """One task with one BLAS thread wherever it runs, as the last bits of a product may depend on their number."""
    with threadpool_limits(limits=1, user_api="blas"):
        return function(*task)


def _backend(name: str) -> AbstractContextManager[Any]:
    try:
        if name == "dask":
            import distributed  # noqa: F401  (joblib finds it by name)

            address = os.environ.get("DASK_SCHEDULER_ADDRESS")
            if not address:
                raise BadInput("No Dask cluster is named. Set DASK_SCHEDULER_ADDRESS, e.g. to tcp://host:8786.")
            return joblib.parallel_config(backend="dask", scheduler_host=address)
        if name == "ray":
            from ray.util.joblib import register_ray

            register_ray()
            return joblib.parallel_config(backend="ray")
    except ImportError as error:
        package = {"dask": "pip install -e '.[dask]'", "ray": "pip install ray"}[name]
        raise BadInput(f"The backend '{name}' is not installed ({error}). Run: {package}") from error
    return nullcontext()
