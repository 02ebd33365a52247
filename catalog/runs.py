"""Training runs: started, kept up to date and finished by the trainer, listed by the Training page."""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog, get_or_add
from catalog.records import RunRecord
from loaders.errors import BadInput

FINAL_STATUSES = ("done", "failed", "stopped")
STALE = timedelta(seconds=60)
SILENT = "The process ended without a word."


class Run(NamedTuple):
    """One training run; status is running, done, failed or stopped (a run whose process went silent)."""

    run_id: str
    sae_id: str
    status: str
    step: int
    total_steps: int | None
    config: dict[str, Any]
    latest_metrics: dict[str, Any]
    final_metrics: dict[str, Any] | None
    started_at: datetime
    heartbeat: datetime
    completed_at: datetime | None
    error_message: str | None
    pid: int


def start_run(
    catalog: Catalog,
    run_id: str,
    sae_id: str,
    config: dict[str, Any],
    total_steps: int | None = None,
    now: datetime | None = None,
) -> None:
    """Record that a run starts, or goes on after an interruption (its first start, step and metrics are kept)."""
    now = now or datetime.now(UTC)
    config = as_json(config)
    new = RunRecord(
        run_id=run_id,
        sae_id=sae_id,
        status="running",
        step=0,
        config=config,
        latest_metrics={},
        started_at=now,
        heartbeat=now,
        pid=os.getpid(),
    )
    with catalog.write() as session:
        record = get_or_add(session, new, run_id)
        record.sae_id, record.config, record.total_steps = sae_id, config, total_steps
        record.status, record.heartbeat, record.pid = "running", now, os.getpid()
        record.final_metrics = record.completed_at = record.error_message = None


def update_run(catalog: Catalog, run_id: str, step: int, metrics: dict[str, Any], now: datetime | None = None) -> None:
    """Record the latest step and its metrics, which is also the run's heartbeat. Raises BadInput if never started."""
    with catalog.write() as session:
        record = _started(session, run_id)
        if record.status == "stopped" and record.error_message == SILENT:  # given up too early: it lives
            record.status = "running"
            record.final_metrics = record.completed_at = record.error_message = None
        record.step = step
        record.latest_metrics = as_json(metrics)
        record.heartbeat = now or datetime.now(UTC)


def finish_run(
    catalog: Catalog,
    run_id: str,
    status: str,
    metrics: dict[str, Any],
    error_message: str | None = None,
    now: datetime | None = None,
) -> None:
    """Record a run's end (done, failed or stopped) with its final metrics. Raises BadInput if never started."""
    if status not in FINAL_STATUSES:
        raise BadInput(f"A run ends as {', '.join(FINAL_STATUSES)}: found '{status}'.")
    with catalog.write() as session:
        record = _started(session, run_id)
        record.status = status
        record.final_metrics = as_json(metrics)
        record.error_message = error_message
        record.completed_at = record.heartbeat = now or datetime.now(UTC)


def runs(catalog: Catalog, now: datetime | None = None) -> list[Run]:
    """All runs, the latest started first; a running one without a heartbeat for 60 s is reported as stopped."""
    now = now or datetime.now(UTC)
    with catalog.read() as session:
        records = session.scalars(select(RunRecord).order_by(RunRecord.started_at.desc(), RunRecord.run_id))
        return [_run(record, now) for record in records]


def repair_stale(catalog: Catalog, now: datetime | None = None) -> list[str]:
    """Write down what `runs` reports of silent runs: stopped, at the time of their last heartbeat; their ids.

    A run whose process is there on this machine is left alone, and one that was given up too early is running again with
    its next step.
    """
    now = now or datetime.now(UTC)
    repaired = []
    with catalog.write() as session:
        for record in session.scalars(
            select(RunRecord).where(RunRecord.status == "running").order_by(RunRecord.run_id)
        ):
            if now - record.heartbeat > STALE and not _is_alive(record.pid):
                record.status, record.error_message = "stopped", SILENT
                record.completed_at = record.heartbeat
                record.final_metrics = record.latest_metrics
                repaired.append(record.run_id)
    return repaired


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Values as a database stores them: paths and the like as text, NaN and infinities as null."""
    strict = json.loads(json.dumps(values, default=_plain), parse_constant=lambda _: None)
    return dict(strict)


def _plain(value: Any) -> Any:
    """What json cannot write itself: NumPy values become numbers and lists, everything else its text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _started(session: Session, run_id: str) -> RunRecord:
    record = session.get(RunRecord, run_id, with_for_update=True)
    if record is None:
        raise BadInput(f"Training run '{run_id}' is not in the catalog: start it before updating it.")
    return record


def _run(record: RunRecord, now: datetime) -> Run:
    run = Run(*(getattr(record, field) for field in Run._fields))
    is_stale = run.status == "running" and now - run.heartbeat > STALE
    return run._replace(status="stopped") if is_stale else run
