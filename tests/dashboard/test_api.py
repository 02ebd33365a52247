"""The HTTP interface as a whole: strict JSON, known addresses and methods, one sentence for everything else."""

from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient

from dashboard import api
from dashboard.api_json import plain
from dashboard.api_route import Route
from loaders.store import Store
from loaders.workspace import Workspace


def test_numbers_that_are_not_finite_become_null() -> None:
    given = {
        "a": np.array([1.5, np.nan, -np.inf], np.float32),
        "b": float("inf"),
        "c": np.float32("nan"),
        3: (np.int64(4),),
    }
    assert plain(given) == {"a": [1.5, None, None], "b": None, "c": None, "3": [4]}
    assert plain([np.bool_(True), None, "x", np.arange(2)]) == [True, None, "x", [0, 1]]


@pytest.mark.parametrize("part", ["", "/activations", "/activations.arrow", "/label"])
@pytest.mark.parametrize("feature", ["100000", "-1", "trees", "1.5", "99999999999999999999"])
def test_a_feature_that_does_not_exist_is_not_found(client: FlaskClient, base: str, feature: str, part: str) -> None:
    assert "feature" in client.get(f"{base}/features/{feature}{part}").refusal(404).lower()


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/health", "/api/v1/store", "/api/v1/health/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_an_unknown_address_is_not_found_instead_of_the_dashboard(client: FlaskClient, path: str, method: str) -> None:
    assert "docs/api.md" in client.open(path, method=method).refusal(404)


def test_a_method_that_an_address_lacks_names_those_it_has(client: FlaskClient, at: str) -> None:
    response = client.post(f"{at}/label", json={})
    assert "use GET, PUT" in response.refusal(405)
    assert response.headers["Allow"] == "GET, PUT"
    assert "use GET" in client.delete("/api/v1/health").refusal(405)
    assert client.options("/api/v1/health").headers["Allow"] == "GET"


def test_an_unforeseen_error_shows_no_trace(
    serve: Callable[..., FlaskClient], workspace: Workspace, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(workspace, None)  # a server without catalog is a programming error
    sentence = client.get(at).refusal(500)
    assert sentence == "Something went wrong; the server's log has the details."
    assert "AttributeError" in caplog.text


@pytest.mark.parametrize("path", ["/api/v1/health?verbose=1", "/api/v1/stores?limit=5", "/api/v1/?x=1"])
def test_a_parameter_that_an_address_does_not_take_is_refused(client: FlaskClient, path: str) -> None:
    assert "it takes none" in client.get(path).refusal(400)


@pytest.mark.parametrize(
    "route", [route for route in api.ROUTES if route.method != "GET"], ids=lambda route: route.name
)
@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"}])
def test_no_route_writes_for_another_sites_page(
    client: FlaskClient, store: Store, route: Route, headers: dict[str, str]
) -> None:
    path = route.path.format(store_id=store.id, feature=1, list_id=1)
    sent = {"name": "x", "version": 1, "value": 1}
    assert "another site" in client.open(path, method=route.method, json=sent, headers=headers).refusal(403)


def test_every_writing_route_states_its_role() -> None:
    assert all(route.role in ("labeller", "admin") for route in api.ROUTES if route.method != "GET")


def test_the_index_names_every_address(client: FlaskClient) -> None:
    body = client.get("/api/v1/").strict()
    assert client.get("/api/v1").strict() == body
    assert [(item["method"], item["path"]) for item in body["items"]] == [(r.method, r.path) for r in api.ROUTES]
    assert all(item["answers"].endswith(".") for item in body["items"])
