"""Tasks give the same results in the same order on every backend."""

import os
import time

import pytest
from distributed import LocalCluster

from loaders.errors import BadInput
from precompute.parallel import in_order


def slow_first(number: int) -> tuple[int, int]:
    time.sleep(0.2 if number == 0 else 0)
    return number, os.getpid()


def test_results_come_in_the_order_of_the_tasks_from_other_processes() -> None:
    found = list(in_order(slow_first, [(n,) for n in range(6)], 2, "loky"))
    assert [number for number, _ in found] == list(range(6))
    assert os.getpid() not in {process for _, process in found}


def test_one_job_needs_no_other_process() -> None:
    assert {process for _, process in in_order(slow_first, [(1,), (2,)], 1, "loky")} == {os.getpid()}


def test_a_dask_cluster_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        found = list(in_order(slow_first, [(n,) for n in range(8)], 2, "dask"))
    assert [number for number, _ in found] == list(range(8))
    assert len({process for _, process in found} - {os.getpid()}) == 2


def test_what_cannot_run_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    for jobs, backend, words in [
        (1, "threads", "no backend 'threads'"),
        (0, "loky", "at least 1"),
        (2, "dask", "Set DASK_SCHEDULER_ADDRESS"),
        (2, "ray", "pip install ray"),
    ]:
        with pytest.raises(BadInput, match=words):
            list(in_order(slow_first, [(1,), (2,)], jobs, backend))
