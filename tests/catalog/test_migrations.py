"""Catalogs of every version become those of this one without loss, and the migrations make exactly what the records say."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from catalog import migrating
from catalog.catalog import Catalog
from catalog.errors import CatalogTooNew
from catalog.jobs import jobs
from catalog.labels import TYPED, get_label, history, put_label
from catalog.records import SCHEMA_VERSION, Record
from catalog.runs import runs
from catalog.upkeep import change_version, status_of
from loaders.errors import BadInput
from tests.catalog.first_schema import make_first_catalog


def shape(connection: Connection) -> dict[str, Any]:
    """Everything that a database tells of its tables, constraints and indexes included."""
    found = inspect(connection)
    return {
        table: {
            "columns": {
                each["name"]: (
                    str(each["type"]),
                    each["nullable"],
                    str(each["default"]).strip("'").removesuffix("'::text"),
                )
                for each in found.get_columns(table)
            },
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(map(str, found.get_foreign_keys(table))),
            "unique": sorted(str(sorted(each.items(), key=str)) for each in found.get_unique_constraints(table)),
            "checks": sorted((str(each["name"]), each["sqltext"]) for each in found.get_check_constraints(table)),
            "indexes": sorted((str(each["name"]), each["column_names"]) for each in found.get_indexes(table)),
        }
        for table in found.get_table_names()
        if table != migrating.BOOKS
    }


def test_the_migrations_make_exactly_the_records_tables(
    url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    migrated = Catalog(url)
    if url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    else:
        other = request.getfixturevalue("postgres").make_database()
    by_records = create_engine(other)
    Record.metadata.create_all(by_records)
    with migrated.read_tables() as one, by_records.connect() as two:
        assert shape(one) == shape(two)
        assert compare_metadata(MigrationContext.configure(one), Record.metadata) == []
    by_records.dispose()
    migrated.close()


def test_a_catalog_from_before_there_were_migrations_keeps_every_row(url: str) -> None:
    make_first_catalog(url)
    catalog = Catalog(url)
    nodes, trees = history(catalog, "f00d", 7)
    assert (nodes.name, nodes.author, nodes.replaces, nodes.created_at.microsecond) == ("nodes ü", "bob", 1, 123456)
    assert (trees.name, trees.notes, trees.created_at.isoformat()) == ("trees", "fires on", "2026-01-01T00:00:00+00:00")
    assert (nodes.category, nodes.confidence, nodes.evidence, nodes.origin) == ("", None, None, TYPED)
    assert get_label(catalog, "f00d", 9) is not None
    (run,) = runs(catalog)
    assert (run.model_id, run.hook, run.dataset_id) == ("minilm", "encoder.layer.1", None)
    assert (run.config["k"], run.latest_metrics, run.final_metrics) == (8, {"fvu": 0.5}, None)
    assert [(job.job_id, job.note) for job in jobs(catalog)] == [("train", "FVU 0.2")]
    assert put_label(catalog, "minilm-l1", "f00d", 7, "graphs", "", "ada", 2, category="structure").version == 3
    catalog.close()


def test_a_catalog_goes_down_to_the_first_version_and_up_again_with_what_both_can_hold(url: str) -> None:
    catalog = Catalog(url)
    put_label(catalog, "sae", "f00d", 1, "trees", "with notes", "ada", None, category="plants", confidence=0.5)
    put_label(catalog, "sae", "f00d", 1, "roots", "", "bob", 1)
    catalog.close()
    assert change_version(url, 1) == (SCHEMA_VERSION, 1)
    assert status_of(url).version == 1
    assert set(status_of(url).rows) == {"labels", "training_runs", "jobs"}
    assert change_version(url, SCHEMA_VERSION) == (1, SCHEMA_VERSION)
    catalog = Catalog(url)
    roots, trees = history(catalog, "f00d", 1)
    assert (roots.name, trees.name, trees.notes, trees.category) == ("roots", "trees", "with notes", "")
    with catalog.read_tables() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Record.metadata) == []
    catalog.close()


def test_a_migration_that_fails_leaves_the_catalog_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_first_catalog(url)

    def fail_at_the_end(connection: Connection, version: int = SCHEMA_VERSION) -> None:
        migrate(connection, version)
        raise RuntimeError

    migrate = migrating.migrate
    monkeypatch.setattr("catalog.catalog.migrate", fail_at_the_end)
    with pytest.raises(RuntimeError):
        Catalog(url)
    assert status_of(url).version == 1
    assert status_of(url).rows == {"labels": 3, "training_runs": 1, "jobs": 1}
    monkeypatch.undo()
    Catalog(url).close()
    assert status_of(url).version == SCHEMA_VERSION


def test_alembics_own_books_agree_with_the_version_that_older_loupes_read(url: str) -> None:
    for version in (1, SCHEMA_VERSION):
        change_version(url, version)
        catalog = Catalog(url, is_migrated=False)
        with catalog.read_tables() as connection:
            assert connection.scalar(text(f"select version_num from {migrating.BOOKS}")) == str(version)
            assert migrating.version_of(connection) == version
        catalog.close()


def test_a_version_that_does_not_exist_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=f"has version 1 to {SCHEMA_VERSION}: found 7"):
        change_version(url, 7)


def test_a_newer_catalog_is_neither_changed_nor_taken_down(url: str) -> None:
    catalog = Catalog(url)
    with catalog.write() as session:
        session.execute(text("update schema_version set version = 9"))
    catalog.close()
    with pytest.raises(CatalogTooNew, match="schema version 9"):
        change_version(url, 1)
    assert status_of(url).version == 9


def test_two_catalogs_may_be_made_by_two_threads_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.sqlite" for i in range(4)]
    threads = [threading.Thread(target=lambda path=path: Catalog(f"sqlite:///{path}").close()) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in paths:
        with sqlite3.connect(path) as connection:
            assert connection.execute("select version from schema_version").fetchall() == [(SCHEMA_VERSION,)]


def test_the_status_of_a_catalog_that_is_not_there_makes_none(tmp_path: Path) -> None:
    found = status_of(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    assert (found.version, found.newest, found.rows) == (None, SCHEMA_VERSION, {})
    assert list(tmp_path.iterdir()) == []
