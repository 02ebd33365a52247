"""A fresh catalog: SQLite, and PostgreSQL too where LOUPE_TEST_DATABASE_URL names an empty database for tests."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from catalog.catalog import Catalog

SERVER = os.environ.get("LOUPE_TEST_DATABASE_URL")


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database that holds nothing yet."""
    if request.param == "sqlite" or SERVER is None:
        yield f"sqlite:///{tmp_path / 'catalog.sqlite'}"
        return
    schema = f"loupe_{uuid.uuid4().hex}"
    engine = create_engine(SERVER)
    with engine.begin() as connection:
        connection.execute(text(f"create schema {schema}"))
    options = f"-csearch_path={schema}"
    yield make_url(SERVER).update_query_dict({"options": options}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text(f"drop schema {schema} cascade"))
    engine.dispose()


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()
