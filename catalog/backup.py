"""Backups: one SQLite file with all rows of a catalog and a digest of each table, whichever database it comes from or goes to."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from catalog.digests import Digest, digest_of
from catalog.errors import BackupDamaged, CatalogTooNew
from catalog.migrating import BOOKS, migrate, version_of
from catalog.records import SCHEMA_VERSION, Record
from catalog.upkeep import BOOKKEEPING, opened, require_known
from loaders.errors import BadInput

CONTENTS = Table(
    "backup_contents",
    MetaData(),
    Column("name", Text, primary_key=True),  # of a table; `made_at` beside them
    Column("value", Text, nullable=False),
)
AT_ONCE = 1_000


class Backup(NamedTuple):
    """What a backup holds."""

    version: int
    made_at: datetime
    rows: dict[str, int]


def back_up(url: str, path: Path) -> Backup:
    """Write a catalog as of one moment to `path`, while others go on writing to it; it appears there whole, or not at all.

    An earlier backup at `path` is replaced; BadInput is raised for any other file there, and for a catalog without tables.
    """
    if path.exists() and not _is_backup(path):
        raise BadInput(f"'{path}' is no backup of a catalog: choose another name, nothing was written.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    os.close(
        os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    )  # it holds hashes of passwords and a signing key
    try:
        with opened(url) as catalog:
            with catalog.read_tables() as connection:
                require_known(catalog, version := version_of(connection))
                if version is None:
                    raise BadInput(f"The catalog at {catalog.url} has no tables yet: there is nothing to back up.")
                if catalog.is_postgresql:
                    _copy_out(connection, temporary, version)
            if not catalog.is_postgresql:
                catalog.copy_file(temporary)
        made = _seal(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return made


def restore(url: str, path: Path, replaces: bool = False) -> Backup:
    """Fill a catalog from a backup, in one transaction: as long as it is not done, and if anything fails, the catalog is as
    it was. Afterwards its tables are those of this Loupe.

    Raises BackupDamaged where a digest differs (in the file, or in what was restored), CatalogTooNew, and BadInput where
    the catalog holds rows and `replaces` is False.
    """
    with _reading(path) as source:
        backup, digests = _contents(source, path)
        if backup.version > SCHEMA_VERSION:
            raise CatalogTooNew(str(path), backup.version, SCHEMA_VERSION)
        _verify(source, digests, f"The backup '{path}' is damaged")
        with opened(url) as catalog, catalog.change_tables() as target:
            require_known(catalog, version_of(target))
            if (held := _rows_in(target)) and not replaces:
                raise BadInput(
                    f"The catalog at {catalog.url} holds {held:,} rows: nothing was restored. Back it up, then use --replace."
                )
            _drop_all(target)
            migrate(target, backup.version)
            _copy_rows(source, target)
            _verify(target, digests, f"What was restored from '{path}' is not what it holds")
            migrate(target)
    return backup


def read_backup(path: Path) -> Backup:
    """What a backup holds, every row of it checked. Raises BackupDamaged, BadInput."""
    with _reading(path) as source:
        backup, digests = _contents(source, path)
        _verify(source, digests, f"The backup '{path}' is damaged")
    return backup


def tables_in(connection: Connection) -> list[Table]:
    """The tables of the catalog that are there, as they are there (an older version has fewer), those that others refer
    to first."""
    known = {table.name for table in Record.metadata.sorted_tables}
    there = [name for name in inspect(connection).get_table_names() if name in known]
    reflected = MetaData()
    reflected.reflect(connection, only=there)
    return list(reflected.sorted_tables)


def _copy_out(source: Connection, path: Path, version: int) -> None:
    engine = _file_engine(path)
    with engine.begin() as target:
        migrate(target, version)
        _copy_rows(source, target)
    engine.dispose()


def _copy_rows(source: Connection, target: Connection) -> None:
    """Copy every table; the bookkeeping is the target's own."""
    for table in tables_in(source):
        if table.name in BOOKKEEPING:
            continue
        keys = list(table.primary_key)
        query = (
            select(table).order_by(*keys).execution_options(yield_per=AT_ONCE)
        )  # of the query: a connection keeps its own
        rows = source.execute(query).mappings()
        for part in rows.partitions(AT_ONCE):
            target.execute(insert(Record.metadata.tables[table.name]), [_typed(row) for row in part])
        if target.dialect.name == "postgresql" and table.name in _NUMBERED:
            name = _NUMBERED[table.name]
            target.execute(
                text(f"select setval(pg_get_serial_sequence('{table.name}', '{name}'), max({name})) from {table.name}")
            )


_NUMBERED = {
    table.name: str(table.autoincrement_column.name)
    for table in Record.metadata.sorted_tables
    if table.autoincrement_column is not None
}
"""Tables whose key the database counts up."""


def _typed(row: Any) -> dict[str, Any]:
    """A row as records take it: times with their zone, UTC."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }


def _seal(path: Path) -> Backup:
    """Add the digests of all tables to a copied catalog, and make a single file of it that outlives a crash."""
    engine = _file_engine(path)
    with engine.begin() as connection:
        version = version_of(connection)
        assert version is not None
        digests = {table.name: _digest(connection, table) for table in tables_in(connection)}
        made_at = datetime.now(UTC)
        CONTENTS.metadata.drop_all(connection)
        CONTENTS.metadata.create_all(connection)
        values = {"made_at": made_at.isoformat(), "version": str(version)}
        values |= {f"table {name}": f"{digest.rows} {digest.sha256}" for name, digest in digests.items()}
        connection.execute(insert(CONTENTS), [{"name": name, "value": value} for name, value in values.items()])
    engine.dispose()
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("pragma journal_mode = delete")
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    return Backup(version, made_at, {name: digest.rows for name, digest in digests.items() if name not in BOOKKEEPING})


def _digest(connection: Connection, table: Table) -> Digest:
    columns = sorted(table.columns, key=lambda column: column.name)
    rows = connection.execute(select(*columns).execution_options(yield_per=AT_ONCE))
    return digest_of(tuple(row) for row in rows)


def _contents(source: Connection, path: Path) -> tuple[Backup, dict[str, Digest]]:
    values: dict[str, str] = {row.name: row.value for row in source.execute(select(CONTENTS))}
    try:
        version, made_at = int(values["version"]), datetime.fromisoformat(values["made_at"])
        digests = {}
        for name, value in values.items():
            if name.startswith("table "):
                rows, _, digest = value.partition(" ")
                digests[name.removeprefix("table ")] = Digest(int(rows), digest)
    except (KeyError, ValueError) as error:
        raise BackupDamaged(
            f"The backup '{path}' is damaged: it does not say what it holds. Use another one."
        ) from error
    held = {name: digest.rows for name, digest in digests.items() if name not in BOOKKEEPING}
    return Backup(version, made_at, held), digests


def _verify(connection: Connection, wanted: dict[str, Digest], sentence: str) -> None:
    there = {table.name: table for table in tables_in(connection)}
    for name, digest in wanted.items():
        found = _digest(connection, there[name]) if name in there else None
        if found != digest:
            rows = "no such table" if found is None else f"{found.rows:,} rows"
            raise BackupDamaged(
                f"{sentence}: table '{name}' should be {digest.rows:,} rows with sha256 {digest.sha256[:12]}…, found {rows}"
                f"{'' if found is None else f' with {found.sha256[:12]}…'}. Nothing was changed; use another backup."
            )


def _rows_in(connection: Connection) -> int:
    """How many rows the catalog holds that a restore would lose."""
    return sum(
        connection.scalar(select(func.count()).select_from(table)) or 0
        for table in tables_in(connection)
        if table.name not in BOOKKEEPING
    )


def _drop_all(connection: Connection) -> None:
    for table in reversed(tables_in(connection)):
        table.drop(connection)
    connection.execute(text(f"drop table if exists {BOOKS}"))


def _is_backup(path: Path) -> bool:
    try:
        with _reading(path) as source:
            _contents(source, path)
    except (BadInput, BackupDamaged):
        return False
    return True


@contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    """A backup, opened so that nothing is written to it or beside it. Raises BadInput for any other file."""
    if not path.is_file():
        raise BadInput(f"There is no backup at '{path}'.")
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    try:
        with engine.connect() as connection:
            try:
                is_backup = inspect(connection).has_table(CONTENTS.name)
            except DBAPIError:
                is_backup = False
            if not is_backup:
                raise BadInput(f"'{path}' is no backup of a catalog: `loupe catalog backup` writes them.")
            try:
                yield connection
            except DBAPIError as error:
                if not isinstance(error.orig, sqlite3.DatabaseError):
                    raise
                raise BackupDamaged(
                    f"The backup '{path}' is damaged ({error.orig}). Nothing was changed; use another backup."
                ) from error
    finally:
        engine.dispose()


def _file_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    def plain(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    event.listen(engine, "connect", plain)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("begin immediate"))
    return engine
