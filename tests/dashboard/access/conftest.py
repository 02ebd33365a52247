"""The session's dashboard with people of its own for one test, and clients of each kind of visitor."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.people import ROLES, add_person
from catalog.tokens import make_token
from dashboard.access.passwords import hash_password
from dashboard.access.rules import Rules

PASSWORD = "correct horse battery"
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="session")
def hashed() -> str:
    """The hash of everybody's password, made once."""
    return hash_password(PASSWORD)


@pytest.fixture
def people(tmp_path: Path, hashed: str) -> Iterator[Catalog]:
    """A catalog in which each role has a person of its name."""
    opened = Catalog(f"sqlite:///{tmp_path / 'people.sqlite'}")
    for role in ROLES:
        add_person(opened, role, role=role, display_name=role.title(), password_hash=hashed)
    yield opened
    opened.close()


@pytest.fixture
def guarded(server: Flask, people: Catalog, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The dashboard with these people."""
    monkeypatch.setitem(server.config["LOUPE"], "catalog", people)
    return server


@pytest.fixture
def ruled(server: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Flask]:
    """The dashboard under other rules."""

    def call(**rules: Any) -> Flask:
        monkeypatch.setitem(server.config["LOUPE"], "rules", Rules(**rules))
        return server

    return call


class Person(FlaskClient):
    """A client that sends its session's token along, as the dashboard's pages do."""

    token = ""

    def open(self, *args: Any, **given: Any) -> Any:
        if self.token and "headers" not in given:
            given["headers"] = {"X-CSRFToken": self.token}
        return super().open(*args, **given)


@pytest.fixture
def log_in() -> Callable[..., Person]:
    """Logs somebody in through the page, as a browser does."""

    def call(server: Flask, name: str, password: str = PASSWORD) -> Person:
        client = Person(server, server.response_class)
        answer = client.post("/login", data={"name": name, "password": password, "csrf_token": form_token(client)})
        assert answer.status_code == 303, answer.text
        client.get("/", headers=PAGE)
        cookie = client.get_cookie("_csrf_token")
        assert cookie is not None
        client.token = cookie.value
        return client

    return call


def form_token(client: FlaskClient) -> str:
    """The token of the log-in form."""
    return re.search('name="csrf_token" value="([^"]+)"', client.get("/login").text)[1]


@pytest.fixture
def token(people: Catalog) -> Callable[..., dict[str, str]]:
    """Headers with a fresh API token."""

    def call(name: str, role: str = "viewer", days: float = 1) -> dict[str, str]:
        made = make_token(people, name, "a test", role, expires_at=datetime.now(UTC) + timedelta(days=days))
        return {"Authorization": f"Bearer {made.secret}"}

    return call
