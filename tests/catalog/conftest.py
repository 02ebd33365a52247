"""A fresh catalog, in SQLite and in PostgreSQL (`url`): every test that asks for one runs on both."""

from collections.abc import Iterator

import pytest

from catalog.catalog import Catalog


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()
