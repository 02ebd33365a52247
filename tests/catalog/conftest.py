"""A fresh catalog, in SQLite and in PostgreSQL: every test that asks for one runs on both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database that holds nothing yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    made = postgres.make_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()
