"""The OpenAPI document is valid, names exactly the routes that are registered, and describes what they really answer."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from catalog.catalog import Catalog
from dashboard import api
from dashboard.api_server import create_api_server
from loaders.store import Store
from loaders.workspace import Workspace


@pytest.fixture(params=["dashboard", "activation server"])
def served(request: pytest.FixtureRequest, workspace: Workspace, store: Store, catalog: Catalog) -> Flask:
    """Both servers that have the interface."""
    if request.param == "activation server":
        return create_api_server(workspace, store.id, catalog)
    made = Flask("loupe", static_folder=None)
    made.config["LOUPE"] = {"workspace": workspace, "catalog": catalog}
    api.register(made)
    return made


@pytest.fixture
def document(served: Flask) -> dict[str, Any]:
    return served.test_client().get("/api/v1/openapi.json").get_json()


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_names_exactly_the_routes_that_are_registered(served: Flask, document: dict[str, Any]) -> None:
    registered = set()
    for rule in served.url_map.iter_rules():
        if rule.endpoint != "api.unknown" and rule.rule != "/api/v1":  # the index, without its last slash
            path = rule.rule.replace("<", "{").replace(">", "}")
            registered |= {(method.lower(), path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == registered


def test_every_operation_has_a_name_and_a_sentence_of_its_own(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith(".") for operation in operations)


def test_every_get_answers_what_its_schema_says(
    served: Flask, document: dict[str, Any], ask: Callable[[Flask], FlaskClient], store: Store, living: int
) -> None:
    client = ask(served)
    client.put(f"/api/v1/stores/{store.id}/features/{living}/label", json={"name": "trees"})
    client.post(f"/api/v1/stores/{store.id}/queue/claims")
    made = client.post("/api/v1/lists", json={"name": "plants"}).strict()["list_id"]
    client.post(f"/api/v1/lists/{made}/items", json={"store": store.id, "features": [living, 3]})
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        content = methods["get"]["responses"]["200"]["content"]
        if "application/json" not in content:
            continue
        schema = content["application/json"]["schema"]
        for feature in (living, (living + 1) % store.features):  # one with a label, one without
            body = client.get(path.format(store_id=store.id, feature=feature, context=3, list_id=made)).strict()
            Draft202012Validator(schema).validate(body)


def test_the_schemas_are_strict(document: dict[str, Any]) -> None:
    schema = document["paths"]["/api/v1/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator(schema)
    good = {"status": "ok", "version": "1", "stores": 2}
    assert validator.is_valid(good)
    for bad in ({**good, "more": 1}, {"status": "ok"}, {**good, "stores": "2"}):
        assert not validator.is_valid(bad)


def test_declared_bounds_are_those_that_are_kept(served: Flask, document: dict[str, Any], at: str) -> None:
    operation = document["paths"]["/api/v1/stores/{store_id}/features/{feature}/activations"]["get"]
    bounds = {parameter["name"]: parameter["schema"] for parameter in operation["parameters"]}
    client = served.test_client()
    for name in ("limit", "offset", "seed"):
        assert client.get(f"{at}/activations?{name}={bounds[name]['maximum']}").status_code == 200
        assert client.get(f"{at}/activations?{name}={bounds[name]['maximum'] + 1}").status_code == 400
        assert client.get(f"{at}/activations").get_json()[name] in (bounds[name]["default"], None)


def test_a_saved_label_is_what_the_document_says(
    served: Flask, document: dict[str, Any], ask: Callable[[Flask], FlaskClient], at: str
) -> None:
    operation = document["paths"]["/api/v1/stores/{store_id}/features/{feature}/label"]["put"]
    sent = {"name": "trees", "notes": "", "replaces": None}
    Draft202012Validator(operation["requestBody"]["content"]["application/json"]["schema"]).validate(sent)
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(schema).validate(ask(served).put(f"{at}/label", json=sent).strict())
    stale = ask(served).put(f"{at}/label", json=sent)
    assert stale.status_code == 409
    assert str(stale.status_code) in operation["responses"]
    Draft202012Validator(document["components"]["schemas"]["Error"]).validate(stale.strict())
