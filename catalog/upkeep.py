"""Looks after a catalog's tables: their version, how much they hold, and bringing them to another version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from catalog.catalog import Catalog, explain
from catalog.errors import CatalogTooNew, CatalogUnavailable
from catalog.migrating import migrate, version_of
from catalog.records import SCHEMA_VERSION, Record
from loaders.errors import BadInput

BOOKKEEPING = ("schema_version",)


class Status(NamedTuple):
    """`version` of the tables (None: there are none yet), the newest that this Loupe knows, and rows by table."""

    url: str
    version: int | None
    newest: int
    rows: dict[str, int]


def status_of(url: str) -> Status:
    """How a catalog is; nothing is made or changed. Raises CatalogUnavailable."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        return Status(url, None, SCHEMA_VERSION, {})
    with opened(url) as catalog, catalog.read_tables() as connection:
        there = set(inspect(connection).get_table_names())
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Record.metadata.sorted_tables
            if table.name in there and table.name not in BOOKKEEPING
        }
        return Status(catalog.url, version_of(connection), SCHEMA_VERSION, rows)


def change_version(url: str, version: int) -> tuple[int | None, int]:
    """Bring the tables up or down to a version, all or nothing; the versions before and after.

    Going down drops what that version has no place for, and the next Loupe to open the catalog brings it up again.
    Raises BadInput for a version that does not exist, CatalogTooNew, CatalogUnavailable.
    """
    if not 1 <= version <= SCHEMA_VERSION:
        raise BadInput(f"A catalog has version 1 to {SCHEMA_VERSION}: found {version}.")
    with opened(url) as catalog, catalog.change_tables() as connection:
        found = version_of(connection)
        require_known(catalog, found)
        migrate(connection, version)
        return found, version


def require_known(catalog: Catalog, version: int | None) -> None:
    """Raise CatalogTooNew for tables that a later Loupe made."""
    if version is not None and version > SCHEMA_VERSION:
        raise CatalogTooNew(catalog.url, version, SCHEMA_VERSION)


@contextmanager
def opened(url: str) -> Iterator[Catalog]:
    """The catalog with its tables as they are. Raises CatalogUnavailable, whatever goes wrong with the database."""
    catalog = Catalog(url, is_migrated=False)
    try:
        yield catalog
    except DBAPIError as error:
        raise CatalogUnavailable(explain(catalog.url, error)) from error
    finally:
        catalog.close()
