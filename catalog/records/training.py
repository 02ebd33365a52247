"""Records of what is computed: training runs, the metrics that they log, and the steps of a pipeline."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import Record


class RunRecord(Record):
    """One training run; its full curves lie in the SAE's metrics.jsonl, thinned ones in `epoch_metrics`."""

    __tablename__ = "training_runs"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    sae_id: Mapped[str]
    status: Mapped[str]
    step: Mapped[int]
    total_steps: Mapped[int | None]
    config: Mapped[dict[str, Any]]
    latest_metrics: Mapped[dict[str, Any]]
    final_metrics: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime]
    heartbeat: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None]
    pid: Mapped[int]
    model_id: Mapped[str | None]  # these are copies out of `config` and the metrics, for queries
    hook: Mapped[str | None]
    dataset_id: Mapped[str | None]
    architecture: Mapped[str | None]
    learning_rate: Mapped[float | None]
    sparsity: Mapped[float | None]
    batch: Mapped[int | None]
    device: Mapped[str | None]
    features: Mapped[int | None]
    final_loss: Mapped[float | None]
    final_fvu: Mapped[float | None]
    final_l0: Mapped[float | None]
    dead_share: Mapped[float | None]
    duration_seconds: Mapped[float | None]


class EpochMetricRecord(Record):
    """What a run logged at one step; a long run keeps evenly thinned steps."""

    __tablename__ = "epoch_metrics"

    run_id: Mapped[str] = mapped_column(
        ForeignKey("training_runs.run_id", name="epoch_metrics_run", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    loss: Mapped[float | None]
    fvu: Mapped[float | None]
    l0: Mapped[float | None]
    learning_rate: Mapped[float | None]
    metrics: Mapped[dict[str, Any]]  # the whole row
    logged_at: Mapped[datetime | None]  # none: loaded later, from metrics.jsonl


class JobRecord(Record):
    """Progress of one pipeline step; `started_*` and `pid` belong to the process that last took it up."""

    __tablename__ = "jobs"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    position: Mapped[int]
    status: Mapped[str]
    done: Mapped[int]
    total: Mapped[int | None]
    unit: Mapped[str]
    note: Mapped[str]
    started_at: Mapped[datetime | None]
    started_done: Mapped[int]  # units that were done before that process: no basis for its rate
    advanced_at: Mapped[datetime | None]  # when `done` last grew
    updated_at: Mapped[datetime]
    heartbeat: Mapped[datetime | None]
    pid: Mapped[int | None]
