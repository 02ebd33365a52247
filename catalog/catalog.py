"""Opens the catalog: an engine over SQLite (default) or PostgreSQL, its tables made once, read and write sessions."""

import os
import sqlite3
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, Pool, collate, create_engine, event, func, literal, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session

from catalog.errors import CatalogTooNew, CatalogUnavailable
from catalog.migrating import migrate, version_of
from catalog.records import SCHEMA_VERSION, Record
from loaders.errors import BadInput

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
"""How long a PostgreSQL that does not answer is waited for, unless the address says otherwise (`connect_timeout`)."""
EVERY_SCRIPT = "und-x-icu"
"""PostgreSQL's collation whose lower case is the same in every database; that of the locale C knows ASCII alone."""
CREATION_LOCK = 0x6C6F757065  # "loupe": PostgreSQL's advisory lock while tables are made
R = TypeVar("R", bound=Record)
_abandoned_pools: list[Pool] = []  # after a fork: the parent's connections, never closed by the child


class Catalog:
    """The database at `url` (sqlite:///path or postgresql+psycopg://...), its tables made or brought up to date.

    `is_migrated` False leaves the tables as they are: for looking after them. Safe to share between threads, to open in
    several processes at once and to keep through a fork.
    Raises BadInput for a URL that cannot be used, CatalogTooNew, and CatalogUnavailable when it cannot be reached.
    """

    def __init__(self, url: str, is_migrated: bool = True) -> None:
        parsed = _parse(url)
        self.url = parsed.render_as_string(hide_password=True)
        self._engine = _make_engine(parsed)
        try:
            self._prepare(is_migrated)
        except DBAPIError as error:
            self.close()
            raise CatalogUnavailable(explain(self.url, error)) from error
        except CatalogTooNew:
            self.close()
            raise
        forget = weakref.WeakMethod(self._forget_connections)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for queries. Raises CatalogUnavailable."""
        with self._session(writes=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed together at its end, or not at all.

        Raises CatalogUnavailable; a broken constraint is passed on as SQLAlchemy's IntegrityError.
        """
        with self._session(writes=True) as session:
            yield session
            session.commit()

    @contextmanager
    def change_tables(self) -> Iterator[Connection]:
        """A transaction that is the only one to change tables, in whatever process; kept whole or not at all."""
        with self._engine.connect().execution_options(loupe_writes=True) as connection:
            if self.is_postgresql:
                with connection.begin():
                    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": CREATION_LOCK})
                    yield connection
                return
            # SQLite changes a table by copying and dropping it: references are checked when all is done
            _check_references(connection, False)
            try:
                with connection.begin():
                    yield connection
                    if broken := connection.exec_driver_sql("pragma foreign_key_check").all():
                        raise IntegrityError(
                            "pragma foreign_key_check", None, sqlite3.IntegrityError(f"broken: {broken[:3]}")
                        )
            finally:
                _check_references(connection, True)

    @contextmanager
    def read_tables(self) -> Iterator[Connection]:
        """A transaction in which everything is seen as of one moment, whatever others write meanwhile."""
        options = {"isolation_level": "REPEATABLE READ"} if self.is_postgresql else {}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def copy_file(self, path: Path) -> None:
        """Copy an SQLite catalog as of one moment into an empty file, whatever others write meanwhile."""
        source = self._engine.raw_connection()
        try:
            with closing(sqlite3.connect(path)) as target:
                source.driver_connection.backup(target)  # type: ignore[union-attr]
        finally:
            source.close()

    @property
    def is_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Close the pooled connections; the catalog may be used again afterwards."""
        self._engine.dispose()

    @contextmanager
    def _session(self, writes: bool) -> Iterator[Session]:
        bind = self._engine.execution_options(loupe_writes=writes)
        try:
            with Session(bind, expire_on_commit=False) as session:
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise CatalogUnavailable(explain(self.url, error)) from error
        except NoConnectionFree as error:
            words = f"All connections to the catalog at {self.url} were busy for {BUSY_SECONDS} s: try again."
            raise CatalogUnavailable(words) from error

    def _prepare(self, is_migrated: bool) -> None:
        if self._engine.dialect.name == "sqlite":
            _use_wal(self._engine)
        if not is_migrated:
            return
        with self._engine.connect() as connection:
            version = version_of(connection)
        if version is None or version < SCHEMA_VERSION:
            with self.change_tables() as connection:
                version = version_of(connection) or 0  # another process may have been quicker
                if version < SCHEMA_VERSION:
                    migrate(connection)
                    version = SCHEMA_VERSION
        if version > SCHEMA_VERSION:
            raise CatalogTooNew(self.url, version, SCHEMA_VERSION)

    def _forget_connections(self) -> None:
        _abandoned_pools.append(self._engine.pool)
        self._engine.dispose(close=False)


def get_or_add(session: Session, new: R, key: Any) -> R:
    """The record under `key`, locked for this transaction; `new` is inserted where there is none yet."""
    kind = type(new)
    found = session.get(kind, key, with_for_update=True)
    if found is not None:
        return found
    try:
        with session.begin_nested():
            session.add(new)
    except IntegrityError:  # another process inserted it since
        return session.get_one(kind, key, with_for_update=True)
    return new


def holds(catalog: Catalog, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column holds the text, upper and lower case alike in every script."""
    if not catalog.is_postgresql:
        return func.instr(func.casefold(column), text.casefold()) > 0
    return func.strpos(func.lower(collate(column, EVERY_SCRIPT)), func.lower(collate(literal(text), EVERY_SCRIPT))) > 0


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadInput(
            "LOUPE_DATABASE_URL is not a database URL: wanted sqlite:///path or postgresql+psycopg://user@host/name."
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise BadInput(f"The catalog cannot live in '{backend}': use sqlite:///path or postgresql+psycopg://host/name.")
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise BadInput("The catalog needs a file that threads and processes can share: wanted sqlite:///path.")
        folder = Path(str(parsed.database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CatalogUnavailable(
                f"The catalog's folder '{folder}' cannot be made ({error.strerror}): name another with LOUPE_DATABASE_URL."
            ) from error
    return parsed


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            patience = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
            # a pooled connection that died with the server is found out and replaced before it is used
            return create_engine(url, pool_pre_ping=True, pool_timeout=BUSY_SECONDS, connect_args=patience)
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    except (ImportError, NoSuchModuleError) as error:
        raise BadInput(
            f"The database driver of '{url.drivername}' is not installed: "
            "run `pip install -e .[postgres]` and use postgresql+psycopg://."
        ) from error
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 must not start transactions by itself: _on_begin does
    connection.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("pragma foreign_keys = on")
    connection.create_function("casefold", 1, str.casefold, deterministic=True)


def _check_references(connection: Connection, is_on: bool) -> None:
    """Whether each statement must keep foreign keys; SQLite takes that only between transactions."""
    driver: Any = connection.connection.driver_connection
    driver.execute(f"pragma foreign_keys = {'on' if is_on else 'off'}")


def _on_begin(connection: Connection) -> None:
    # A write lock taken at the start waits its turn; one asked for after a read would fail at once.
    writes = connection.get_execution_options().get("loupe_writes", False)
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _use_wal(engine: Engine) -> None:
    """Turn on write-ahead logging: the switch ignores busy_timeout, so wait for other processes here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("pragma journal_mode = wal")
            return
        except sqlite3.Error as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise DBAPIError("pragma journal_mode = wal", None, error) from error
        finally:
            connection.close()
        time.sleep(0.02)


def explain(url: str, error: DBAPIError) -> str:
    """One sentence for what a database said."""
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if "locked" in reason:
        return f"The catalog at {url} was locked by another process for {BUSY_SECONDS} s: nothing was saved, try again."
    return f"The catalog at {url} cannot be used ({reason.rstrip('.')}): check the file or server, then try again."
