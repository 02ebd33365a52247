"""Training runs: started, kept up to date and finished by the trainer, listed by the Training page."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog, get_or_add
from catalog.json_values import as_json
from catalog.metrics import log_step
from catalog.records import RunRecord
from loaders.errors import BadInput

FINAL_STATUSES = ("done", "failed", "stopped")
STALE = timedelta(seconds=60)
SILENT = "The process ended without a word."
SETTINGS = {  # columns of their own, by the name of the setting
    "model_id": "model_id",
    "hook": "hook",
    "dataset_id": "dataset_id",
    "architecture": "architecture",
    "device": "device",
    "batch": "batch",
    "features": "features",
    "learning_rate": "lr",
    "sparsity": "sparsity",
}
FIGURES = {  # columns of their own, by the names of the metrics, of which the first that is there counts
    "final_loss": ("loss",),
    "final_fvu": ("fvu", "fvu_held_out", "fvu_train"),
    "final_l0": ("l0_held_out", "l0"),
    "dead_share": ("dead_share", "dead_share_held_out"),
    "duration_seconds": ("seconds",),
}


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
    model_id: str | None = None
    hook: str | None = None
    dataset_id: str | None = None
    architecture: str | None = None
    device: str | None = None
    batch: int | None = None
    features: int | None = None
    learning_rate: float | None = None
    sparsity: float | None = None
    final_loss: float | None = None
    final_fvu: float | None = None
    final_l0: float | None = None
    dead_share: float | None = None
    duration_seconds: float | None = None


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
        _copy_settings(record, config)
        _copy_figures(record, {})


def update_run(
    catalog: Catalog,
    run_id: str,
    step: int,
    metrics: dict[str, Any],
    now: datetime | None = None,
    row: Mapping[str, Any] | None = None,
) -> None:
    """Record the latest step and its metrics, which is also the run's heartbeat; `row` is what was logged at this step, to
    be kept among the run's metrics. Raises BadInput if never started."""
    now = now or datetime.now(UTC)
    with catalog.write() as session:
        record = _started(session, run_id)
        if record.status == "stopped" and record.error_message == SILENT:  # given up too early: it lives
            record.status = "running"
            record.final_metrics = record.completed_at = record.error_message = None
        record.step = step
        record.latest_metrics = as_json(metrics)
        record.heartbeat = now
        if row is not None:
            log_step(session, run_id, step, row, now)


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
        _copy_figures(record, record.final_metrics)


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
                _copy_figures(record, record.final_metrics)
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


def _copy_settings(record: RunRecord, config: dict[str, Any]) -> None:
    """Settings into columns of their own; one of 0 stands for what the trainer chooses, so it is unknown."""
    for column, setting in SETTINGS.items():
        setattr(record, column, config.get(setting) or None)


def _copy_figures(record: RunRecord, metrics: dict[str, Any]) -> None:
    for column, names in FIGURES.items():
        found = (metrics.get(name) for name in names)
        value = next((each for each in found if isinstance(each, int | float)), None)
        setattr(record, column, None if value is None else float(value))
    if record.duration_seconds is None and record.completed_at is not None:
        record.duration_seconds = (record.completed_at - record.started_at).total_seconds()


def _started(session: Session, run_id: str) -> RunRecord:
    record = session.get(RunRecord, run_id, with_for_update=True)
    if record is None:
        raise BadInput(f"Training run '{run_id}' is not in the catalog: start it before updating it.")
    return record


def _run(record: RunRecord, now: datetime) -> Run:
    run = Run(*(getattr(record, field) for field in Run._fields))
    is_stale = run.status == "running" and now - run.heartbeat > STALE
    return run._replace(status="stopped") if is_stale else run
