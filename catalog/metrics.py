"""What training runs logged, step by step: enough of it for curves, thinned evenly where a run is long."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.json_values import as_json
from catalog.records import EpochMetricRecord, RunRecord
from loaders.errors import BadInput

MOST_ROWS = 2_000
"""Rows kept of one run; more are thinned to about half of it, so that a run's rows lie between the two."""
NAMED = {"loss": "loss", "fvu": "fvu_train", "l0": "l0", "learning_rate": "lr"}
"""Columns of their own, by the name that the trainer logs them under."""


class Metrics(NamedTuple):
    """What a run logged at one step; `metrics` is the whole row."""

    step: int
    loss: float | None
    fvu: float | None
    l0: float | None
    learning_rate: float | None
    metrics: dict[str, Any]
    logged_at: datetime | None


def put_metrics(catalog: Catalog, run_id: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Replace what is kept of a run by these rows of its metrics.jsonl (each with its `step`); how many are kept.

    Raises BadInput where the run is not in the catalog.
    """
    merged: dict[int, dict[str, Any]] = {}
    for row in rows:
        merged.setdefault(int(row["step"]), {}).update(row)
    kept = _thinned(sorted(merged))
    with catalog.write() as session:
        if session.get(RunRecord, run_id) is None:
            raise BadInput(f"Training run '{run_id}' is not in the catalog: start it before its metrics.")
        session.execute(delete(EpochMetricRecord).where(EpochMetricRecord.run_id == run_id))
        if kept:
            session.execute(insert(EpochMetricRecord), [_row(run_id, step, merged[step], None) for step in kept])
    return len(kept)


def metrics_of(catalog: Catalog, run_id: str) -> list[Metrics]:
    """What is kept of a run, by step."""
    query = select(EpochMetricRecord).where(EpochMetricRecord.run_id == run_id).order_by(EpochMetricRecord.step)
    with catalog.read() as session:
        return [Metrics(*(getattr(record, field) for field in Metrics._fields)) for record in session.scalars(query)]


def log_step(session: Session, run_id: str, step: int, row: Mapping[str, Any], now: datetime) -> None:
    """Add one row in the session's transaction; a resumed run's steps from there on are replaced."""
    of_run = EpochMetricRecord.run_id == run_id
    session.execute(delete(EpochMetricRecord).where(of_run, EpochMetricRecord.step >= step))
    session.execute(insert(EpochMetricRecord), [_row(run_id, step, row, now)])
    if (session.scalar(select(func.count()).where(of_run)) or 0) > MOST_ROWS:
        steps = list(session.scalars(select(EpochMetricRecord.step).where(of_run).order_by(EpochMetricRecord.step)))
        gone = sorted(set(steps) - set(_thinned(steps)))
        for start in range(0, len(gone), 500):
            session.execute(
                delete(EpochMetricRecord).where(of_run, EpochMetricRecord.step.in_(gone[start : start + 500]))
            )


def _thinned(steps: list[int]) -> list[int]:
    """Every second step, the last one always, until they are few enough."""
    while len(steps) > MOST_ROWS:
        steps = [*steps[:-1:2], steps[-1]]
    return steps


def _row(run_id: str, step: int, metrics: Mapping[str, Any], now: datetime | None) -> dict[str, Any]:
    plain = as_json(dict(metrics))
    named = {column: _number(plain.get(name)) for column, name in NAMED.items()}
    return {"run_id": run_id, "step": step, **named, "metrics": plain, "logged_at": now}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
