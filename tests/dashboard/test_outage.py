"""A PostgreSQL that dies under the dashboard: 503 in words with `Retry-After`, and all is well once it is back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog.catalog import Catalog
from catalog.labels import history
from catalog.people import add_person
from catalog.tokens import make_token
from dashboard.access import accounts
from loaders.store import Store
from tests.postgres import Postgres

PAGE = {"Accept": "text/html"}
KEY = {"edit_key": "the-only-one"}


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Postgres]:
    """The session's PostgreSQL, which the test may kill: it runs again at the end."""
    yield postgres
    if not postgres.is_running:
        postgres.start()


@pytest.fixture
def catalog(server: Flask, database: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog in it, behind the session's dashboard."""
    opened = Catalog(database.make_database())
    monkeypatch.setitem(server.config["LOUPE"], "catalog", opened)
    yield opened
    opened.close()


@pytest.fixture(params=["the gate asks the catalog", "the gate need not ask"])
def visiting(request: pytest.FixtureRequest, server: Flask, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The dashboard without accounts; at most every two seconds the gate looks whether there are some by now."""
    monkeypatch.setattr(accounts, "RECHECK_SECONDS", -1.0 if request.param == "the gate asks the catalog" else 3600.0)
    return server


def require_outage(answer: TestResponse) -> str:
    """The sentence, where the answer is what it should be while the catalog is away."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    sentence = str(answer.get_json()["error"])
    assert sentence.endswith("try again.") or sentence.endswith("try again in a few seconds.")
    assert "Traceback" not in answer.text and "\n" not in sentence
    return sentence


def open_page(client: FlaskClient, path: str) -> TestResponse:
    """Ask for a page's content as the browser does: the callback of the page container."""
    callbacks = client.get("/_dash-dependencies").get_json()
    asked = next(one for one in callbacks if "_pages_content" in one["output"] and one["inputs"])
    names = asked["output"].strip(".").split("...")
    values: dict[str, Any] = {"pathname": path, "search": ""}
    inputs = [{**one, "value": values.get(one["property"])} for one in asked["inputs"]]
    state = [{**one, "value": {}} for one in asked["state"]]
    outputs = [dict(zip(("id", "property"), name.split("."), strict=True)) for name in names]
    changed = [f"{one['id']}.{one['property']}" for one in inputs]
    body = {"output": asked["output"], "outputs": outputs, "inputs": inputs, "state": state, "changedPropIds": changed}
    return client.post("/_dash-update-component", json=body)


def test_a_dead_postgresql_is_503_with_retry_after_and_is_taken_up_again_by_itself(
    visiting: Flask, database: Postgres, catalog: Catalog, store: Store
) -> None:
    client = visiting.test_client()
    label = f"/api/v1/stores/{store.id}/features/5/label"
    assert client.put(label, json={"name": "before", **KEY}).status_code == 200
    with ThreadPoolExecutor(8) as pool:  # several pooled connections, all of which will be stale
        assert {answer.status_code for answer in pool.map(lambda _: visiting.test_client().get(label), range(40))} == {
            200
        }
    database.kill()
    for _ in range(3):
        require_outage(client.get(label))
        require_outage(client.put(label, json={"name": "during", "replaces": 1}))
    told = client.get("/health")
    assert told.status_code == 503 and told.headers["Retry-After"]
    assert "The catalog cannot be used" in told.get_json()["problems"][0]
    assert client.get("/health/live").status_code == 200
    database.start()
    with ThreadPoolExecutor(8) as pool:
        back = {answer.status_code for answer in pool.map(lambda _: visiting.test_client().get(label), range(40))}
    assert back == {200}
    assert client.get("/health").status_code == 200
    again = client.put(label, json={"name": "before", **KEY})  # the answer to the first one may have been lost
    assert (again.status_code, again.get_json()["version"]) == (200, 1)
    assert client.put(label, json={"name": "after", "replaces": 1}).get_json()["version"] == 2
    assert [saved.name for saved in history(catalog, store.sae_fingerprint, 5)] == ["after", "before"]


def test_connections_that_died_unnoticed_are_replaced_before_anybody_meets_them(
    visiting: Flask, database: Postgres, store: Store
) -> None:
    label = f"/api/v1/stores/{store.id}/features/5/label"

    def ask_often() -> set[int]:
        with ThreadPoolExecutor(8) as pool:
            return {answer.status_code for answer in pool.map(lambda _: visiting.test_client().get(label), range(40))}

    assert ask_often() == {200}
    database.kill()
    database.start()
    assert ask_often() == {200}


def test_a_page_that_is_opened_meanwhile_says_so_and_shows_no_trace(
    server: Flask, database: Postgres, catalog: Catalog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = server.test_client(), f"/labels/{store.id}"
    monkeypatch.setattr(accounts, "RECHECK_SECONDS", 3600.0)
    assert "labels-table" in open_page(client, path).text
    database.kill()
    shown = open_page(client, path)  # the gate knew already that there are no accounts
    assert "This page cannot be shown" in shown.text and "try again" in shown.text and "Traceback" not in shown.text
    monkeypatch.setattr(accounts, "RECHECK_SECONDS", -1.0)
    page = client.get(path, headers=PAGE)
    assert page.status_code == 503 and page.headers["Retry-After"] and page.mimetype == "text/html"
    assert "The catalog cannot be reached" in page.text and "Traceback" not in page.text
    assert "127.0.0.1" not in page.text and "postgresql" not in page.text  # nobody is told where it is
    require_outage(client.post("/_dash-update-component", json={}))
    database.start()
    assert "labels-table" in open_page(client, path).text


def test_who_is_logged_in_is_told_the_same_and_stays_logged_in(
    server: Flask, database: Postgres, catalog: Catalog, store: Store
) -> None:
    add_person(catalog, "ada", role="labeller", display_name="Ada", password_hash="")
    secret = make_token(catalog, "ada", "a program", "labeller").secret
    known = {"Authorization": f"Bearer {secret}"}
    client = server.test_client()
    assert client.get("/api/v1/stores", headers=known).status_code == 200
    database.kill()
    require_outage(client.get("/api/v1/stores", headers=known))
    require_outage(client.get("/api/v1/stores", headers={"Authorization": "Bearer unknown"}))
    database.start()
    assert client.get("/api/v1/stores", headers=known).status_code == 200
    assert client.get("/api/v1/stores", headers={"Authorization": "Bearer unknown"}).status_code == 401
