"""Builds the web application over a workspace: pages, shell, HTTP interface, headers, words for every error."""

import contextlib
import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dash
import flask
from dash import Dash, dcc, html, set_props
from dash.exceptions import DependencyException
from werkzeug.exceptions import NotFound

from catalog.catalog import Catalog
from catalog.errors import CatalogUnavailable
from dashboard import api, bundles, cache, health, limits, metrics, payload, security, shell, strict_plotly, trace, urls
from dashboard.access import gate, login
from dashboard.access.errors import Refused, Unknown
from dashboard.access.rules import Rules, read_rules
from dashboard.components import empty_state
from dashboard.error_page import error_page
from dashboard.theme_script import THEME_SCRIPT, script_hash
from loaders.errors import LoupeError
from loaders.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger("loupe")

INDEX = f"""<!DOCTYPE html>
<html lang="en" data-bs-theme="light">
<head>
{{%metas%}}
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>{THEME_SCRIPT}</script>
<title>{{%title%}}</title>
{{%favicon%}}
{{%css%}}
</head>
<body>
{{%app_entry%}}
<footer>{{%config%}}{{%scripts%}}{{%renderer%}}</footer>
</body>
</html>"""


def create_app(workspace: Workspace, catalog: Catalog | None = None, rules: Rules | None = None) -> Dash:
    """Build the dashboard over a workspace; the catalog is the workspace's own unless another one is given."""
    server = flask.Flask("loupe", static_folder=None)
    server.config["LOUPE"] = {
        "workspace": workspace,
        "catalog": catalog or Catalog(workspace.catalog_url),
        "rules": rules or read_rules(),
    }
    trace.follow_requests(server)
    limits.limit_requests(server)
    security.refuse_other_sites(server)
    gate.install(server)
    cache.keep_results(server, workspace)
    bundles.compress_responses(server)
    strict_plotly.serve_strict_plotly(server)
    announce_plotly(server, workspace)
    login.register(server)
    api.register(server)
    server.add_url_rule("/health", "health", health.ready)
    server.add_url_rule("/health/live", "health_live", health.alive)
    server.add_url_rule("/metrics", "metrics", metrics.metrics)
    app = Dash(
        "loupe",
        server=server,
        use_pages=True,
        pages_folder=str(ROOT / "pages"),
        assets_folder=str(ROOT / "assets"),
        suppress_callback_exceptions=True,
        serve_locally=True,
        title="Loupe",
        update_title=None,
        index_string=INDEX,
        on_error=say_in_words,
    )
    app.layout = shell.layout
    shell.register(app)
    for page in dash.page_registry.values():
        page["layout"] = with_words_for_errors(page["layout"])
    security.guard_pages(app, server, [script_hash(THEME_SCRIPT)])
    payload.refuse_malformed_callbacks(app, server)  # after the gate: who may not ask is told nothing else
    server.register_error_handler(Exception, error_page)
    server.register_error_handler(DependencyException, lambda _: error_page(NotFound()))  # a script that no library has
    return app


def announce_plotly(server: flask.Flask, workspace: Workspace) -> None:
    """Let a feature's page fetch plotly.js beside Dash's own scripts, where Dash would ask for it only when it draws."""

    @server.after_request
    def announce(response: flask.Response) -> flask.Response:
        place = urls.read(flask.request.path)
        if place.page == "feature" and place.store and place.feature is not None and response.mimetype == "text/html":
            with contextlib.suppress(LoupeError):  # an unknown store's page draws nothing
                if place.feature < workspace.open_store(place.store).features:
                    response.headers.add("Link", f"<{bundles.PLOTLY}>; rel=preload; as=script")
        return response


def say_in_words(error: Exception) -> None:
    """Answer to a callback that raised: the sentence goes to the message bar, everything else to the log.

    A refusal and a catalog that cannot be reached are passed on, so that the request itself fails with 403 or 503;
    `assets/access.js` and `assets/outage.js` show the sentence.
    """
    if isinstance(error, Refused | Unknown | CatalogUnavailable):
        raise error
    if isinstance(error, LoupeError):
        words = str(error)
    else:
        log.error("callback failed", exc_info=error)
        words = "Something went wrong while this panel was computed; the server's log has the details."
    set_props("shell-message", {"children": words, "is_open": True})


def with_words_for_errors(layout: Any) -> Callable[..., Any]:
    """Wrap a page's layout: a LoupeError becomes its sentence on the page, anything else a calm general one."""

    @functools.wraps(layout if callable(layout) else lambda **_: layout)
    def guarded(**given: Any) -> Any:
        try:
            return layout(**given) if callable(layout) else layout
        except Refused as error:
            return error_panel("This page is not open to you", str(error))
        except LoupeError as error:
            return error_panel("This page cannot be shown", str(error))
        except Exception:
            log.exception("page failed")
            return error_panel("This page cannot be shown", "The server's log has the details.")

    return guarded


def error_panel(title: str, sentence: str) -> html.Div:
    """A page that holds nothing but what went wrong and a way on."""
    return html.Div(
        html.Section(
            empty_state(title, sentence, action=dcc.Link("Go to Home", href=urls.home()), icon_name="warning"),
            className="panel",
        ),
        className="page",
    )
