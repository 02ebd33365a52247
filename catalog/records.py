"""The catalog's tables as typed SQLAlchemy records, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 1


class Moment(TypeDecorator[datetime]):
    """A point in time: always UTC and time-zone aware in Python (SQLite itself forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Record(DeclarativeBase):
    """Base of all records."""

    type_annotation_map = {
        str: Text(),
        int: BigInteger(),
        datetime: Moment(),
        dict[str, Any]: JSON(none_as_null=True),
    }


class SchemaVersionRecord(Record):
    """One row: the version of these tables."""

    __tablename__ = "schema_version"
    __table_args__ = (CheckConstraint("id = 1", name="schema_version_one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]


class LabelRecord(Record):
    """One saved text of one feature's label; rows are only ever added.

    The primary key decides between two people who save at once; the foreign key forbids gaps in the history.
    """

    __tablename__ = "labels"
    __table_args__ = (
        ForeignKeyConstraint(
            ["sae_fingerprint", "feature_id", "replaces"],
            ["labels.sae_fingerprint", "labels.feature_id", "labels.version"],
            name="labels_replaces",
        ),
        CheckConstraint("version = coalesce(replaces, 0) + 1", name="labels_version"),
    )

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sae_id: Mapped[str]
    name: Mapped[str]
    notes: Mapped[str]
    author: Mapped[str]
    created_at: Mapped[datetime]
    replaces: Mapped[int | None]


class RunRecord(Record):
    """One training run; its curves lie in the SAE's metrics.jsonl, its latest and final metrics here."""

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
