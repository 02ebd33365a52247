"""Brings a catalog's tables from one version to another with Alembic, on a connection whose transaction the caller owns."""

from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, inspect, select

from catalog.records import SCHEMA_VERSION, SchemaVersionRecord

SCRIPTS = Path(__file__).parent / "migrations"
BOOKS = "alembic_version"
"""Alembic's own table. What counts is `schema_version`, which Loupe's first catalogs have and older Loupes refuse by."""

_one_at_a_time = Lock()  # Alembic's context is one for the whole process


def version_of(connection: Connection) -> int | None:
    """Version of the tables that are there; None where there are none yet."""
    if not inspect(connection).has_table(SchemaVersionRecord.__tablename__):
        return None
    return connection.scalar(select(SchemaVersionRecord.version))


def migrate(connection: Connection, version: int = SCHEMA_VERSION) -> None:
    """Bring the tables up or down to a version; all or nothing, with the transaction of the connection."""
    from alembic import command

    found = version_of(connection)
    config = _config(connection)
    with _one_at_a_time:
        if found is not None and not inspect(connection).has_table(BOOKS):  # made before there were migrations
            command.stamp(config, str(found))
        if (found or 0) < version:
            command.upgrade(config, str(version))
        elif (found or 0) > version:
            command.downgrade(config, str(version) if version else "base")


def _config(connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
