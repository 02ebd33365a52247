"""What all records share: their base class, times in UTC and the version of all tables together."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, Double, Integer, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_VERSION = 2
"""The newest migration; an older catalog is brought to it when it is opened, a newer one is refused."""


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


NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Of a key that the database counts up itself: SQLite does so for INTEGER alone."""


class Record(DeclarativeBase):
    """Base of all records."""

    type_annotation_map = {
        str: Text(),
        int: BigInteger(),
        float: Double(),
        datetime: Moment(),
        dict[str, Any]: JSON(none_as_null=True),
    }


class SchemaVersionRecord(Record):
    """One row: the version of these tables."""

    __tablename__ = "schema_version"
    __table_args__ = (CheckConstraint("id = 1", name="schema_version_one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]
