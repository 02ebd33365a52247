"""The catalog opens once for many processes, survives forks and explains why it cannot be used."""

import multiprocessing
import os
import signal
import socket
import sqlite3
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from catalog.catalog import Catalog
from catalog.errors import CatalogTooNew, CatalogUnavailable
from catalog.labels import get_label, put_label
from catalog.records import SCHEMA_VERSION, Record, SchemaVersionRecord
from loaders.errors import BadInput
from tests.postgres import Postgres


def open_and_write(url: str, feature_id: int, start: "multiprocessing.synchronize.Barrier") -> None:
    start.wait()
    catalog = Catalog(url)
    put_label(catalog, "sae", "fingerprint", feature_id, "trees", "", "ada", None)
    catalog.close()


def test_four_processes_may_create_the_catalog_at_the_same_moment(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    writers = [spawn.Process(target=open_and_write, args=(url, i, start)) for i in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    catalog = Catalog(url)
    assert all(get_label(catalog, "fingerprint", i) for i in range(4))
    with catalog.read() as session:
        assert session.execute(text("select count(*) from schema_version")).scalar() == 1
    catalog.close()


def test_sqlite_uses_write_ahead_logging_a_busy_timeout_and_foreign_keys(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'made' / 'on' / 'the' / 'way' / 'catalog.sqlite'}")
    with catalog.read() as session:
        assert session.execute(text("pragma journal_mode")).scalar() == "wal"
        assert session.execute(text("pragma busy_timeout")).scalar() == 30_000
        assert session.execute(text("pragma foreign_keys")).scalar() == 1
    catalog.close()


def test_a_writer_waits_for_another_writer_instead_of_failing(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    catalog = Catalog(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    timer = threading.Timer(0.3, lambda: other.execute("commit"))
    timer.start()
    put_label(catalog, "sae", "fingerprint", 1, "trees", "", "ada", None)
    timer.join()
    assert get_label(catalog, "fingerprint", 1) is not None
    other.close()
    catalog.close()


def test_a_failed_write_leaves_nothing_behind(catalog: Catalog) -> None:
    def write_half() -> None:
        with catalog.write() as session:
            session.execute(update(SchemaVersionRecord).values(version=77))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    with catalog.read() as session:
        assert session.execute(text("select version from schema_version")).scalar() == SCHEMA_VERSION


def test_a_newer_catalog_is_refused_with_both_versions(url: str) -> None:
    catalog = Catalog(url)
    with catalog.write() as session:
        session.execute(update(SchemaVersionRecord).values(version=9))
    catalog.close()
    with pytest.raises(CatalogTooNew, match=r"schema version 9, but this Loupe reads up to version 2: update Loupe"):
        Catalog(url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 20)
    with pytest.raises(CatalogUnavailable, match=r"catalog\.sqlite cannot be used \(file is not a database\)"):
        Catalog(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://host/name", "cannot live in 'mysql'"),
        ("sqlite://", "needs a file"),
        ("postgresql+nosuchdriver://host/name", "driver of 'postgresql\\+nosuchdriver' is not installed"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained(url: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Catalog(url)


def test_a_password_is_never_shown(catalog: Catalog) -> None:
    with pytest.raises(BadInput) as caught:
        Catalog("postgresql+nosuchdriver://ada:geheim@host/name")
    assert "geheim" not in str(caught.value)


def test_a_forked_child_uses_connections_of_its_own(catalog: Catalog) -> None:
    put_label(catalog, "sae", "fingerprint", 1, "trees", "", "ada", None)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            put_label(catalog, "sae", "fingerprint", 1, "leaves", "", "bob", 1)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    put_label(catalog, "sae", "fingerprint", 1, "roots", "", "ada", 2)
    newest = get_label(catalog, "fingerprint", 1)
    assert newest is not None
    assert (newest.version, newest.name) == (3, "roots")


def test_what_was_saved_survives_the_sudden_death_of_the_process(url: str) -> None:
    child = os.fork()
    if child == 0:
        catalog = Catalog(url)
        put_label(catalog, "sae", "fingerprint", 1, "trees", "", "ada", None)
        with catalog.write() as session:
            session.execute(update(SchemaVersionRecord).values(version=77))
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    catalog = Catalog(url)
    assert get_label(catalog, "fingerprint", 1) is not None
    assert put_label(catalog, "sae", "fingerprint", 1, "nodes", "", "ada", 1).version == 2
    catalog.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CatalogUnavailable, match=r"folder '.*file/under' cannot be made \(Not a directory\)"):
        Catalog(f"sqlite:///{tmp_path / 'file' / 'under' / 'catalog.sqlite'}")


def test_the_tables_are_valid_for_postgresql() -> None:
    written = {
        table.name: str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for table in Record.metadata.sorted_tables
    }
    assert "PRIMARY KEY (sae_fingerprint, feature_id, version)" in written["labels"]
    assert "created_at TIMESTAMP WITH TIME ZONE NOT NULL" in written["labels"]
    assert "done BIGINT NOT NULL" in written["jobs"]


def test_a_server_that_takes_connections_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.catalog.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(CatalogUnavailable, match=r"cannot be used .*timeout"):
            Catalog(f"postgresql+psycopg://loupe@127.0.0.1:{silent.getsockname()[1]}/name")
    assert time.monotonic() - started < 20


def test_whoever_finds_every_connection_busy_is_told_so(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catalog.catalog.BUSY_SECONDS", 1)
    url = postgres.make_database()
    catalog = Catalog(url)
    with ExitStack() as held:
        for _ in range(15):
            held.enter_context(catalog.read()).connection()
        with pytest.raises(CatalogUnavailable, match="were busy for 1 s: try again"), catalog.read() as session:
            session.connection()
    get_label(catalog, "f00d", 1)
    catalog.close()
    postgres.drop_database(url)
