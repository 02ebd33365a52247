"""The OpenAPI 3.1 document and the index of the HTTP interface, both made from the table of routes."""

from collections.abc import Sequence
from typing import Any, cast

from flask import Flask, Response, current_app

from dashboard.api_json import MAX_BODY_BYTES, answer, answer_list, installed_version
from dashboard.api_route import BASE, JSON, Parameter, Route
from dashboard.api_schema import ANYTHING, ERROR, TEXT, WHOLE, Schema, listing, record
from dashboard.label_importing import MOST_BYTES

ROUTES_KEY = "LOUPE_ROUTES"
PLACES: dict[str, tuple[Schema, str]] = {
    "store_id": (TEXT, "Id of a store, `<sae>@<dataset>`."),
    "feature": (WHOLE, "Id of a feature, from 0."),
    "context": (WHOLE, "Index of a context, from 0."),
    "list_id": (WHOLE, "Id of a list of features."),
}
REASONS = {
    400: "A parameter or a text that cannot be used.",
    401: "The server has accounts and nobody is logged in, or the token is not good.",
    403: "Not for this role or not on a read-only server, or the request comes from another site's page.",
    404: "An unknown store, feature, context, list or address, or nothing there to decide.",
    409: "Not as things stand: somebody else's edit came first, or the address does not say which store is meant.",
    413: f"A body that is too large: over {MAX_BODY_BYTES:,} bytes, or over {MOST_BYTES:,} of a file.",
    415: "A body of another type than this address reads.",
    500: "A damaged store, or an error that nobody foresaw.",
    503: "The catalog, or another server that is needed, cannot be reached: ask again after the `Retry-After`'s seconds.",
}


def declare(server: Flask, routes: Sequence[Route]) -> None:
    """Keep the routes that this server has, for its document and its index."""
    server.config[ROUTES_KEY] = routes


def declared() -> Sequence[Route]:
    """The routes of the server that answers."""
    return cast(Sequence[Route], current_app.config[ROUTES_KEY])


def index() -> Response:
    """Every address of this interface with what it answers."""
    items = [{"method": route.method, "path": route.path, "answers": _summary(route)} for route in declared()]
    return answer_list(items)


def openapi() -> Response:
    """This interface as an OpenAPI 3.1 document."""
    return answer(describe(declared()))


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Loupe",
            "summary": "Features of sparse autoencoders: activations, statistics, contexts and labels.",
            "version": installed_version(),
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    replies = {kind: {"schema": schema} for kind, schema in route.replies.items()}
    refusal = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": _summary(route),
        "parameters": [*_path_parameters(route), *map(_query_parameter, route.parameters)],
        "responses": {
            "200": {"description": _summary(route), "content": replies},
            **{str(status): {"description": REASONS[status], "content": refusal} for status in route.statuses},
        },
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": {route.body_kind: {"schema": route.body}}}
    return found


def _summary(route: Route) -> str:
    return (route.answer.__doc__ or "").strip().partition("\n")[0]


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": words, "schema": schema}
        for name, (schema, words) in PLACES.items()
        if f"{{{name}}}" in route.path
    ]


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.words, "schema": parameter.schema}


ROUTES = (
    Route("GET", f"{BASE}/", index, {JSON: listing(record(method=TEXT, path=TEXT, answers=TEXT))}),
    Route("GET", f"{BASE}/openapi.json", openapi, {JSON: ANYTHING}),
)
