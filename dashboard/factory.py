"""Builds the web application over a workspace: pages, shell, HTTP interface, headers, words for every error."""

import base64
import contextlib
import functools
import hashlib
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dash
import flask
from dash import Dash, dcc, html, set_props
from markupsafe import escape

from catalog.catalog import Catalog
from dashboard import api, bundles, cache, health, limits, metrics, payload, security, shell, trace, urls
from dashboard.components import empty_state
from loaders.errors import LoupeError
from loaders.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger("loupe")

# Runs before the first paint, so that a dark page never flashes white.
THEME_SCRIPT = (
    "(function(){var t=null;try{t=localStorage.getItem('loupe-theme')}catch(e){}"
    "if(t!=='light'&&t!=='dark'){t=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light'}"
    "document.documentElement.setAttribute('data-bs-theme',t)})()"
)
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


def create_app(workspace: Workspace, catalog: Catalog | None = None) -> Dash:
    """Build the dashboard over a workspace; the catalog is the workspace's own unless another one is given."""
    server = flask.Flask("loupe", static_folder=None)
    server.config["LOUPE"] = {"workspace": workspace, "catalog": catalog or Catalog(workspace.catalog_url)}
    server.secret_key = signing_key()
    trace.follow_requests(server)
    limits.limit_requests(server)
    cache.keep_results(server, workspace)
    bundles.compress_responses(server)
    announce_plotly(server, workspace)
    api.register(server)
    for address, answer in {"/health": health.ready, "/health/live": health.alive, "/metrics": metrics.metrics}.items():
        server.add_url_rule(address, view_func=answer)
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
    security.guard(app, server, workspace, [script_hash(THEME_SCRIPT)])
    payload.refuse_malformed_callbacks(app, server)  # after the guard: who may not ask is told nothing else
    server.register_error_handler(Exception, error_page)
    return app


def signing_key() -> str:
    """What sessions and kept results are signed with: LOUPE_SECRET_KEY, or a key that ends with this server."""
    return os.environ.get("LOUPE_SECRET_KEY") or secrets.token_hex(32)


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


def script_hash(script: str) -> str:
    """The source expression of a content policy that allows this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def say_in_words(error: Exception) -> None:
    """Answer to a callback that raised: the sentence goes to the message bar, everything else to the log."""
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


def error_page(error: Exception) -> tuple[flask.Response, int]:
    """A Flask error as a short page (or as JSON to scripts), never as a stack trace."""
    status, sentence = limits.status_and_sentence(error)
    if sentence == limits.GENERAL:
        log.exception("request failed", exc_info=error)
    if "text/html" not in flask.request.headers.get("Accept", ""):
        return flask.jsonify({"error": sentence}), status
    page = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Loupe</title>'
        f'<body style="font: 16px system-ui; margin: 15vh auto; max-width: 40em"><h1>{status}</h1>'
        f'<p>{escape(sentence)}</p><p><a href="{urls.home()}">Go to Home</a></p>'
    )
    return flask.make_response(page), status
