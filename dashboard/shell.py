"""The frame around every page: rail, top bar (store, search, author, theme), messages, key list, shared polling."""

import json
from typing import Any

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update, page_container

from catalog.jobs import jobs
from dashboard import context, presenter, urls
from dashboard.access import gate
from dashboard.access.visitor import Visitor, visitor
from dashboard.components import icon, kbd
from dashboard.components.who import guest, read_only_banner, typed_name, who_am_i
from loaders.workspace import Workspace

POLL_MS = 2_000
KEYS = (
    ("/", "Search: a feature's number, a word of its label, a token"),
    ("j", "Feature page: next feature"),
    ("k", "Feature page: previous feature"),
    ("r", "Feature page: a random feature"),
    ("e", "Feature page, or a row of a table: edit the label"),
    ("↑ ↓ Enter", "Explorer: move in the table, open the feature"),
    ("← →", "Presentation: previous, next step; a clicker's Page keys do the same"),
    ("n", "Presentation: notes of this step"),
    ("t", "Switch between light and dark"),
    ("?", "This list"),
    ("Esc", "Close, leave a field or a presentation"),
)


def layout() -> html.Div:
    """The whole frame with the page inside it, for whoever asks: what they may not change is not offered (`writes`)."""
    asking = visitor()
    return html.Div(
        [
            html.A("Skip to content", href="#main", className="skip-link"),
            dcc.Location(id="shell-location", refresh=False),
            dcc.Location(id="shell-navigate", refresh="callback-nav"),
            dcc.Store(id="shell-generation"),
            dcc.Store(id="shell-url-written"),
            dcc.Interval(id="shell-poll", interval=POLL_MS, disabled=True),
            html.Nav(
                [
                    dcc.Link(icon("loupe"), href=urls.home(), className="rail-mark", title="Loupe: home"),
                    html.Div(id="shell-rail", className="rail-links"),
                ],
                className="rail",
                **{"aria-label": "Pages"},
            ),
            _top_bar(asking, gate.csrf_token() if asking.source == "session" else ""),
            dbc.Alert(id="shell-message", is_open=False, dismissable=True, duration=12_000, color="warning"),
            html.Main([read_only_banner() if asking.is_read_only else None, page_container], id="main", tabIndex=-1),
            _key_list(),
            *presenter.layout(),
        ],
        className="frame" if asking.may("labeller") else "frame is-looking",
    )


def _top_bar(asking: Visitor, csrf: str) -> html.Header:
    return html.Header(
        [
            html.Label("Store", htmlFor="shell-store", className="visually-hidden"),
            dbc.Select(id="shell-store", options=[], size="sm", placeholder="No store yet", className="top-store"),
            html.Div(
                [
                    html.Label([icon("search"), html.Span("Search", className="visually-hidden")], htmlFor="shell-search"),
                    dcc.Input(
                        id="shell-search",
                        type="search",
                        placeholder="Feature number, label or token",
                        debounce=False,
                        n_submit=0,
                        autoComplete="off",
                        className="top-search-input",
                    ),
                    kbd("/"),
                ],
                className="top-search",
                role="search",
            ),
            _who(asking, csrf),
            html.Button(
                icon("list-add"), className="icon-button writes", title="Add this view to a playlist",
                **{"data-action": "add-view", "aria-label": "Add this view to a playlist"},
            ),
            html.Button(
                icon("keyboard"), className="icon-button", title="Keys (?)",
                **{"data-action": "keys", "aria-label": "Show the keys"},
            ),
            html.Button(
                [icon("moon"), icon("sun")], className="icon-button", title="Light or dark (t)",
                **{"data-action": "theme", "aria-label": "Switch between light and dark"},
            ),
        ],
        className="top",
    )  # fmt: skip


def _who(asking: Visitor, csrf: str) -> html.Div:
    """Who is logged in; without accounts, the field whose name signs what is saved from this browser."""
    if asking.is_person:
        return who_am_i(asking.shown, asking.role, csrf)
    if asking.source == "local" and not asking.is_read_only:
        return typed_name()
    return guest(may_log_in=asking.source == "open")


def _key_list() -> html.Dialog:
    """A dialog whose list `assets/keys.js` writes when it is first asked for, so that no page pays for its components."""
    return html.Dialog(
        [
            html.H2("Keys"),
            html.Div(className="key-list", **{"data-keys": json.dumps(KEYS)}),
            html.Button("Close", className="button", **{"data-action": "close-keys"}),
        ],
        id="shell-keys",
        **{"aria-label": "Keys"},
    )


def rail(place: urls.Place, store: str | None, set_id: str | None) -> list[dcc.Link]:
    """The rail's links; those of the current store and set, the current page marked."""
    entries = (
        ("home", "Home", "house", urls.home()),
        ("explorer", "Explorer", "table", urls.explorer(store)),
        ("labels", "Labels", "tags", urls.labels(store)),
        ("training", "Training", "graph-up", urls.training()),
        ("layers", "Layers", "layers", urls.layers(set_id)),
    )
    here = "explorer" if place.page == "feature" else place.page
    return [
        dcc.Link(
            [icon(picture), words],
            href=href,
            className="rail-link is-current" if page == here else "rail-link",
        )
        for page, words, picture, href in entries
    ]


def choose_store(place: urls.Place, known: str | None, sets: dict[str, list[str]]) -> str | None:
    """The store that the page shows: the one in the path, one of the path's set, the last one, or the first.

    None for a path that names an unknown store or set: the page says so.
    """
    stores = [store for members in sets.values() for store in members]
    if place.store:
        return place.store if place.store in stores else None
    if place.set_id and place.set_id not in sets:
        return None
    members = sets.get(place.set_id or "", [])
    if members and known not in members:
        return members[0]
    return known if known in stores else (stores[0] if stores else None)


def set_of(store: str | None, sets: dict[str, list[str]]) -> str | None:
    """The set that holds a store."""
    return next((set_id for set_id, members in sets.items() if store in members), None)


def generations(workspace: Workspace) -> dict[str, int]:
    """The manifest generation of every store; changes whenever a table lands."""
    return {store: int(manifest["generation"]) for store, manifest in workspace.manifests().items()}


def is_busy() -> bool:
    """True while a pipeline job runs or waits."""
    return any(job.status in ("running", "waiting") for job in jobs(context.catalog()))


def register(app: Dash) -> None:
    """Add the shell's callbacks to an app."""
    presenter.register(app)

    @app.callback(
        Output("shell-store", "options"),
        Output("shell-store", "value"),
        Output("shell-rail", "children"),
        Input("shell-location", "pathname"),
        Input("shell-generation", "data"),
        State("shell-store", "value"),
    )
    def follow_location(pathname: str | None, _: Any, known: str | None) -> tuple[list[dict[str, str]], Any, Any]:
        workspace = context.workspace()
        sets, manifests, place = workspace.sets(), workspace.manifests(), urls.read(pathname)
        store = choose_store(place, known, sets)
        options = [
            {"value": member, "label": f"{member}  ({manifests[member]['hook']})"}
            for members in sets.values()
            for member in members
        ]
        return options, store, rail(place, store, set_of(store, sets))

    @app.callback(
        Output("shell-navigate", "href"),
        Input("shell-store", "value"),
        State("shell-location", "pathname"),
        prevent_initial_call=True,
    )
    def switch_store(store: str | None, pathname: str | None) -> Any:
        sets, place = context.workspace().sets(), urls.read(pathname)
        if store is None or place.page not in ("explorer", "feature", "labels", "layers"):
            return no_update
        set_id = set_of(store, sets)
        here = place.store or (None if place.page == "layers" else choose_store(place, None, sets))
        if store == here or (place.page == "layers" and (set_id == place.set_id or place.set_id is None)):
            return no_update  # an address without a store shows the first one, and keeps its query
        return urls.switch_store(pathname, store, set_id)

    @app.callback(
        Output("shell-navigate", "href", allow_duplicate=True),
        Output("shell-search", "value"),
        Input("shell-search", "n_submit"),
        State("shell-search", "value"),
        State("shell-store", "value"),
        prevent_initial_call=True,
    )
    def search(_: int, text: str | None, store: str | None) -> Any:
        target = urls.search_target(text or "", store)
        return (no_update, no_update) if target is None else (target, "")

    @app.callback(
        Output("shell-generation", "data"),
        Output("shell-poll", "disabled"),
        Input("shell-poll", "n_intervals"),
        Input("shell-location", "pathname"),
        State("shell-generation", "data"),
    )
    def notice_results(_n: int, _pathname: str | None, known: dict[str, int] | None) -> Any:
        now = generations(context.workspace())
        return (no_update if now == known else now), not is_busy()

    app.clientside_callback(
        ClientsideFunction("loupe", "rememberAuthor"), Output("shell-author", "title"), Input("shell-author", "value")
    )
