"""Pipeline progress: in order, with a remaining time from the step's own rate, and honest about silence."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from catalog.catalog import Catalog
from catalog.jobs import Job, jobs, put_job
from loaders.errors import BadInput

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def report(catalog: Catalog, seconds: float, done: int, status: str = "running", **more: int) -> None:
    put_job(catalog, "train", "Train minilm-l1", 2, status, done, 100, "steps", "FVU 0.2", now=at(seconds), **more)


def seen(catalog: Catalog, seconds: float) -> Job:
    (job,) = jobs(catalog, now=at(seconds))
    return job


def test_jobs_are_listed_in_the_order_of_the_pipeline(catalog: Catalog) -> None:
    for position, name in [(3, "c"), (1, "a"), (2, "b")]:
        put_job(catalog, name, name, position, "waiting")
    assert [(job.job_id, job.status, job.eta_seconds) for job in jobs(catalog)] == [
        (name, "waiting", None) for name in "abc"
    ]


def test_a_running_job_tells_what_how_far_and_since_when(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 5, 25)
    job = seen(catalog, 5)
    assert (job.title, job.position, job.status) == ("Train minilm-l1", 2, "running")
    assert (job.done, job.total, job.unit, job.note) == (25, 100, "steps", "FVU 0.2")
    assert (job.started_at, job.updated_at, job.heartbeat) == (NOON, at(5), at(5))


def test_there_is_no_remaining_time_without_progress_to_judge_by(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    assert seen(catalog, 1).eta_seconds is None
    report(catalog, 10, 0)
    assert seen(catalog, 11).eta_seconds is None


def test_there_is_no_remaining_time_without_a_total(catalog: Catalog) -> None:
    put_job(catalog, "scan", "Scan", 1, "running", 0, None, now=NOON)
    put_job(catalog, "scan", "Scan", 1, "running", 9, None, now=at(3))
    assert seen(catalog, 3).eta_seconds is None


def test_the_remaining_time_follows_from_the_rate_of_the_step(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 20)
    assert seen(catalog, 10).eta_seconds == pytest.approx(40)


def test_a_stalled_step_does_not_count_down_to_zero(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 20)
    report(catalog, 60, 20)
    assert seen(catalog, 60).eta_seconds == pytest.approx(39.5)


def test_the_rate_of_an_earlier_process_is_no_basis(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 50)
    with catalog.write() as session:
        session.execute(text("update jobs set pid = -1"))  # as if that process had been another one
    report(catalog, 1000, 50)
    assert seen(catalog, 1000).eta_seconds is None
    assert seen(catalog, 1000).started_at == at(1000)
    report(catalog, 1010, 60)
    assert seen(catalog, 1010).eta_seconds == pytest.approx(40)


def test_units_found_finished_do_not_count_towards_the_rate(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 1, 80, skipped=80)
    assert seen(catalog, 1).eta_seconds is None
    report(catalog, 10, 90, skipped=80)
    assert seen(catalog, 10).eta_seconds == pytest.approx(10)


def test_a_running_job_without_heartbeat_for_15_s_is_reported_as_stopped(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 50)
    assert seen(catalog, 25).status == "running"
    stopped = seen(catalog, 26)
    assert (stopped.status, stopped.eta_seconds, stopped.done) == ("stopped", None, 50)


def test_a_report_without_progress_is_a_heartbeat(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 14, 0)
    assert seen(catalog, 20).status == "running"


def test_a_finished_job_stays_finished(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 100, status="done")
    job = seen(catalog, 99_999)
    assert (job.status, job.eta_seconds, job.started_at, job.updated_at) == ("done", None, NOON, at(10))


def test_a_job_that_begins_again_is_timed_anew(catalog: Catalog) -> None:
    report(catalog, 0, 0)
    report(catalog, 10, 90)
    report(catalog, 20, 0)
    report(catalog, 30, 10)
    assert seen(catalog, 30).eta_seconds == pytest.approx(90)


def test_the_next_part_of_a_job_has_a_rate_of_its_own(catalog: Catalog) -> None:
    put_job(catalog, "tables", "Tables", 1, "running", 5, 10, now=at(0))
    put_job(catalog, "tables", "Tables", 1, "running", 10, 10, now=at(1))
    put_job(catalog, "tables", "Tables", 1, "running", 50, 1_000, now=at(100))
    assert seen(catalog, 100).eta_seconds is None
    put_job(catalog, "tables", "Tables", 1, "running", 150, 1_000, now=at(110))
    assert seen(catalog, 110).eta_seconds == pytest.approx(85)


def test_an_unknown_status_is_refused(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="A job is waiting, running, done, failed, stopped: found 'busy'"):
        put_job(catalog, "x", "x", 1, "busy")


def test_threads_may_report_the_same_new_job_at_once(catalog: Catalog) -> None:
    start, failed = threading.Barrier(6), []

    def work(i: int) -> None:
        start.wait()
        try:
            put_job(catalog, "same", "Same", 1, "running", i, 6)
        except Exception as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert [job.job_id for job in jobs(catalog)] == ["same"]
