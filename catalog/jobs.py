"""Pipeline progress: written by the process that works, shown by the Home page with an honest remaining time."""

import os
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from catalog.catalog import Catalog, get_or_add
from catalog.records import JobRecord
from loaders.errors import BadInput

STATUSES = ("waiting", "running", "done", "failed", "stopped")
STALE = timedelta(seconds=15)


class Job(NamedTuple):
    """One pipeline step; a running one whose process went silent is reported as stopped.

    `started_at` is when the process that works on it (or last did) took it up; `eta_seconds` is None until that
    process has itself made progress to judge by.
    """

    job_id: str
    title: str
    position: int
    status: str
    done: int
    total: int | None
    unit: str
    note: str
    started_at: datetime | None
    updated_at: datetime
    heartbeat: datetime | None
    pid: int | None
    eta_seconds: float | None


def put_job(
    catalog: Catalog,
    job_id: str,
    title: str,
    position: int,
    status: str,
    done: int = 0,
    total: int | None = None,
    unit: str = "",
    note: str = "",
    skipped: int = 0,
    now: datetime | None = None,
) -> None:
    """Record where a pipeline step is. While it runs call this at least every 5 s, with or without progress.

    `skipped` of the `done` units were found finished from an earlier run: they say nothing about the speed.
    Raises BadInput for an unknown status.
    """
    if status not in STATUSES:
        raise BadInput(f"A job is {', '.join(STATUSES)}: found '{status}'.")
    now, pid = now or datetime.now(UTC), os.getpid()
    new = JobRecord(
        job_id=job_id,
        title=title,
        position=position,
        status="waiting",
        done=done,
        unit=unit,
        note=note,
        started_done=done,
        updated_at=now,
    )
    with catalog.write() as session:
        record = get_or_add(session, new, job_id)
        if status == "running":
            is_mine = record.status == "running" and record.pid == pid and record.total == total
            if not is_mine or done < record.done:  # taken up now, or its next part begins: a new basis for the rate
                record.started_at, record.started_done, record.advanced_at = now, done, now
            elif done > record.done:
                record.advanced_at = now
            record.started_done = max(record.started_done, skipped)
            record.heartbeat, record.pid = now, pid
        record.title, record.position, record.status = title, position, status
        record.done, record.total, record.unit, record.note = done, total, unit, note
        record.updated_at = now


def jobs(catalog: Catalog, now: datetime | None = None) -> list[Job]:
    """All pipeline steps in their order; a running one without a heartbeat for 15 s is reported as stopped."""
    now = now or datetime.now(UTC)
    with catalog.read() as session:
        records = session.scalars(select(JobRecord).order_by(JobRecord.position, JobRecord.job_id))
        return [_job(record, now) for record in records]


def _job(record: JobRecord, now: datetime) -> Job:
    is_running = record.status == "running" and record.heartbeat is not None and now - record.heartbeat <= STALE
    status = "stopped" if record.status == "running" and not is_running else record.status
    eta = _eta_seconds(record, now) if is_running else None
    plain = {field: getattr(record, field) for field in Job._fields if field not in ("status", "eta_seconds")}
    return Job(status=status, eta_seconds=eta, **plain)


def _eta_seconds(record: JobRecord, now: datetime) -> float | None:
    """Seconds left at the rate since this process took the step up, or None without a basis.

    Between two reports at most one more unit is taken as done, so a stalled step does not count down to zero.
    """
    if record.total is None or record.started_at is None or record.advanced_at is None:
        return None
    made = record.done - record.started_done
    seconds = (record.advanced_at - record.started_at).total_seconds()
    if made <= 0 or seconds <= 0:
        return None
    rate = made / seconds
    since = max(0.0, (now - record.advanced_at).total_seconds())
    left = max(0.0, record.total - record.done - min(since * rate, 1.0))
    return left / rate
