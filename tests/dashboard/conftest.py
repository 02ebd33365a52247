"""The HTTP interface over the session's workspace with a catalog of each test's own, and a client that reads strictly."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from dashboard import api
from loaders.store import Store
from loaders.workspace import Workspace
from tests.postgres import Postgres


class Answer(Response):
    """A response that tests read as programs do."""

    def strict(self) -> Any:
        """The body as JSON, in which NaN and Infinity are errors."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        assert self.mimetype == "application/json"
        return json.loads(self.data, parse_constant=refuse)

    def refusal(self, status: int) -> str:
        """The sentence of an error, whose form is checked."""
        body = self.strict()
        assert self.status_code == body["status"] == status
        assert "Traceback" not in body["error"]
        assert "\n" not in body["error"]
        return str(body["error"])


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def either_catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """A fresh catalog, once in each database: what test files that write much name their `catalog`."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'either.sqlite'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.make_database()
    opened = Catalog(url)
    yield opened
    opened.close()
    if request.param == "postgresql":
        postgres.drop_database(url)


@pytest.fixture
def ask() -> Callable[[Flask], FlaskClient]:
    """Makes a client of a server."""
    return lambda server: FlaskClient(server, Answer)


@pytest.fixture
def serve(ask: Callable[[Flask], FlaskClient]) -> Callable[[Workspace, Catalog | None], FlaskClient]:
    """Puts the interface beside a dashboard's pages, over any workspace and catalog."""

    def make(workspace: Workspace, catalog: Catalog | None) -> FlaskClient:
        server = Flask("loupe")
        server.config["LOUPE"] = {"workspace": workspace, "catalog": catalog}
        api.register(server)
        server.add_url_rule("/<path:path>", "page", lambda path: "<html>the dashboard</html>")  # as Dash does
        return ask(server)

    return make


@pytest.fixture
def client(serve: Callable[..., FlaskClient], workspace: Workspace, catalog: Catalog) -> FlaskClient:
    return serve(workspace, catalog)


@pytest.fixture
def base(store: Store) -> str:
    """Address of the store."""
    return f"/api/v1/stores/{store.id}"


@pytest.fixture
def living(store: Store) -> int:
    """The feature that fires most often."""
    return int(store.stats()["n"].to_numpy().argmax())


@pytest.fixture
def at(base: str, living: int) -> str:
    """Address of the feature that fires most often."""
    return f"{base}/features/{living}"
