"""The HTTP interface: every route from the tables of its nouns, one sentence for every error."""

import logging
from collections.abc import Sequence

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from dashboard import (
    api_activations,
    api_bookmarks,
    api_contexts,
    api_features,
    api_label_files,
    api_label_history,
    api_label_import,
    api_labels,
    api_lists,
    api_many_labels,
    api_openapi,
    api_queue,
    api_remarks,
    api_reviews,
    api_stores,
)
from dashboard.access import gate
from dashboard.api_json import answer_error, answer_http_error, answer_refusal
from dashboard.api_route import Route, refuse_unknown_parameters
from dashboard.security import refuse_cross_site
from loaders.errors import LoupeError

ROUTES: tuple[Route, ...] = (
    *api_openapi.ROUTES,
    *api_stores.ROUTES,
    *api_features.ROUTES,
    *api_activations.ROUTES,
    *api_contexts.ROUTES,
    *api_labels.ROUTES,
    *api_label_history.ROUTES,
    *api_remarks.ROUTES,
    *api_bookmarks.ROUTES,
    *api_many_labels.ROUTES,
    *api_label_files.ROUTES,
    *api_label_import.ROUTES,
    *api_lists.ROUTES,
    *api_queue.ROUTES,
    *api_reviews.ROUTES,
)
METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
EVERY_METHOD = (*METHODS, "HEAD", "OPTIONS", "TRACE")
log = logging.getLogger("loupe")


def register(server: Flask, routes: Sequence[Route] = ROUTES, root: str = "/api") -> None:
    """Attach the interface; `server.config["LOUPE"]` holds the workspace and the catalog.

    Every address below `root` that no route has is answered with an error in JSON.
    """
    api_openapi.declare(server, routes)
    blueprint = Blueprint("api", __name__)
    by_name = {f"api.{route.name}": route for route in routes}
    for route in routes:
        for rule in {route.rule, route.rule.rstrip("/") or "/"}:
            blueprint.add_url_rule(rule, route.name, route.answer, methods=[route.method])
        if route.role:
            gate.declare_role(server, route.method, f"api.{route.name}", route.role)
    for rest in {root or "/", f"{root}/", f"{root}/<path:rest>"} - {route.rule for route in routes}:
        # or Dash would answer these with the dashboard's page
        blueprint.add_url_rule(rest, view_func=unknown, methods=EVERY_METHOD, provide_automatic_options=False)

    @blueprint.before_request
    def check() -> Response | None:
        refuse_cross_site()
        if request.endpoint in by_name:
            refuse_unknown_parameters(by_name[request.endpoint])
        return answer_options()

    blueprint.register_error_handler(HTTPException, answer_http_error)
    blueprint.register_error_handler(LoupeError, answer_refusal)
    blueprint.register_error_handler(Exception, answer_crash)
    server.register_blueprint(blueprint)


def unknown(rest: str = "") -> Response:
    """Every other address: 405 where another method is known there, 404 otherwise."""
    allowed = _known_methods()
    if allowed:
        raise MethodNotAllowed(allowed)
    raise NotFound(f"There is no '{request.path[:100]}': /api/v1/ and docs/api.md list the addresses that exist.")


def answer_options() -> Response | None:
    """OPTIONS at a known address: its methods (Flask's own answer would count those of `unknown` too)."""
    allowed = _known_methods() if request.method == "OPTIONS" else []
    return Response(status=204, headers={"Allow": ", ".join(allowed)}) if allowed else None


def answer_crash(error: Exception) -> Response:
    """An error that nobody foresaw: its trace goes to the log, a calm sentence to the client."""
    log.error("request failed: %s %s", request.method, request.path, exc_info=error)
    return answer_error(500, "Something went wrong; the server's log has the details.")


def _known_methods() -> list[str]:
    """Methods that the requested address has, other than being unknown."""
    adapter = current_app.create_url_adapter(request)
    return [method for method in METHODS if adapter and adapter.match(method=method)[0] != "api.unknown"]
