"""The activation server: the HTTP interface without the dashboard, with short addresses for its one store."""

from typing import Any

from flask import Flask, Response, current_app
from werkzeug.exceptions import Conflict, HTTPException, NotFound

from catalog.catalog import Catalog
from dashboard import api, bundles, limits, security
from dashboard.access import gate
from dashboard.access.rules import Rules, read_rules
from dashboard.api_json import answer_http_error
from dashboard.api_route import BASE, FEATURE, STORE, Route
from dashboard.context import workspace
from loaders.workspace import Workspace

SHORT = {  # short address: the one that it stands for
    "/": f"{BASE}/",
    "/health": f"{BASE}/health",
    "/features": f"{STORE}/features",
    "/activations/{feature}": f"{FEATURE}/activations",
    "/activations/{feature}/arrow": f"{FEATURE}/activations.arrow",
    "/context/{context}": f"{STORE}/contexts/{{context}}",
    "/context/vocab": f"{STORE}/vocab",
}
NAMED_STORES = 10


def create_api_server(
    workspace: Workspace, store_id: str | None = None, catalog: Catalog | None = None, rules: Rules | None = None
) -> Flask:
    """The WSGI application over a workspace; the short addresses mean `store_id`, or the only store that there is.

    Raises StoreNotFound or StoreDamaged when the named store cannot be opened.
    """
    if store_id is not None:
        workspace.open_store(store_id)
    server = Flask("loupe", static_folder=None)
    server.config["LOUPE"] = {
        "workspace": workspace,
        "catalog": catalog or Catalog(workspace.catalog_url),
        "store": store_id,
        "rules": rules or read_rules(),
    }
    limits.limit_requests(server)
    security.refuse_other_sites(server)
    gate.install(server)
    bundles.compress_responses(server)
    api.register(server, (*api.ROUTES, *SHORT_ROUTES), root="")
    server.register_error_handler(HTTPException, answer_http_error)
    return server


def the_store() -> str:
    """Id of the store that a short address means; raises Conflict or NotFound when there is not exactly one."""
    chosen = current_app.config["LOUPE"]["store"]
    if chosen is not None:
        return str(chosen)
    there = workspace().store_ids()
    if not there:
        raise NotFound("This workspace has no store yet: the short addresses answer once it has one.")
    if len(there) > 1:
        more = f" and {len(there) - NAMED_STORES} more" if len(there) > NAMED_STORES else ""
        raise Conflict(
            f"This server has several stores ({', '.join(there[:NAMED_STORES])}{more}): ask under"
            f" {BASE}/stores/<store>/, or start it with --store to choose one."
        )
    return there[0]


def shorten(path: str, route: Route) -> Route:
    """The same route at a short address."""

    def answer(**given: Any) -> Response:
        return route.answer(store_id=the_store(), **given) if "{store_id}" in route.path else route.answer(**given)

    answer.__name__, answer.__doc__ = f"short_{route.name}", route.answer.__doc__
    refusals = (*route.refusals, 404, 409) if "{store_id}" in route.path else route.refusals
    return route._replace(path=path, answer=answer, refusals=refusals)


_BY_PATH = {route.path: route for route in api.ROUTES}
SHORT_ROUTES = tuple(shorten(path, _BY_PATH[target]) for path, target in SHORT.items())
