"""The Explorer: every feature of a store in a table that the server sorts and filters, beside a map of them."""

from typing import Any

import dash
import dash_ag_grid as dag
from dash import ClientsideFunction, Input, Output, Patch, State, callback, clientside_callback, dcc, html, no_update

from dashboard import context, urls
from dashboard.access.visitor import may, visitor
from dashboard.cache import remembered
from dashboard.components import count, empty_state, panel, plural
from dashboard.components.bulk import bulk_bar, bulk_dialog
from dashboard.components.label_editor import editor_stores, label_editor
from dashboard.explorer_frame import features_frame, missing_tables, with_labels
from dashboard.explorer_grid import CHOICE, GRID_OPTIONS, column_defs, describe, initial_state, row_of
from dashboard.explorer_rows import View, matches, page, read_view, view_of_request
from dashboard.figures.map import binned, density_histogram, dimmed, feature_map, no_map, selections, view_of_map
from dashboard.figures.theme import CONFIG
from dashboard.known_labels import labelled_frame
from dashboard.model_name import model_name
from dashboard.weights import has_weights
from loaders.errors import BadInput
from loaders.store import Store

DENSITY_HEIGHT = 150
NO_WEIGHTS = "No map: the SAE's weights are not in this workspace."


def layout(store: str | None = None, **query: Any) -> html.Div:
    """The Explorer of a store, its view restored from the address."""
    shown = store or _first_store()
    if shown is None:
        return _nothing_yet()
    opened = context.workspace().open_store(shown)
    message, view = None, View()
    try:
        view = read_view({key: value for key, value in query.items() if isinstance(value, str)})
    except BadInput as error:
        message = f"{error} Showing every feature."
    return html.Div(
        [
            dcc.Store(id="explorer-store", data=opened.id),
            dcc.Store(id="explorer-href"),
            _header(opened, message),
            html.Div(
                [_table(opened, view), html.Div([_densities(opened), _map(opened, view)], className="stack")],
                className="explorer",
            ),
            *editor_stores(),
            label_editor(context.author(), is_known=visitor().is_person),
            bulk_dialog(),
        ],
        className="page",
    )


def _first_store() -> str | None:
    """The store that the frame shows first as well, or one that cannot be read and says why."""
    known = [*context.workspace().sets().values(), context.workspace().store_ids()]
    return next((store for members in known for store in members), None)


dash.register_page(__name__, path_template="/explorer/<store>", title="Explorer · Loupe", layout=layout)
dash.register_page("pages.explorer_first", path="/explorer", title="Explorer · Loupe", layout=layout)


def _nothing_yet() -> html.Div:
    words = "The pipeline writes one store per SAE. This page opens by itself as soon as the first one is ready."
    action = dcc.Link("See the pipeline on Home", href=urls.home())
    empty = html.Section(
        empty_state("No store is ready yet", words, action=action, icon_name="clock"), className="panel"
    )
    return html.Div([empty, dcc.Location(id="explorer-waiting", refresh="callback-nav")], className="page")


def _header(store: Store, message: str | None) -> html.Div:
    made_from = [model_name(store.manifest.get("model") or ""), store.hook]
    facts = f"{', '.join(filter(None, made_from))}, on {count(store.samples)} samples of {store.dataset.id}"
    return html.Header(
        [
            html.H1("Explorer", className="page-title"),
            html.Span([html.Span(store.id, className="token-text"), f"  {facts}"], className="page-lead num"),
            html.Span(message, className="badge badge-warning", role="alert") if message else None,
        ],
        className="page-header",
    )


def _table(store: Store, view: View) -> html.Section:
    grid = dag.AgGrid(
        id="explorer-grid",
        columnDefs=column_defs(),
        rowModelType="infinite",
        getRowId="params.data.feature_id",
        dashGridOptions={**GRID_OPTIONS, **(CHOICE if may("labeller") else {}), "initialState": initial_state(view)},
        className="explorer-grid",
        style={"height": None},
    )
    search = dcc.Input(
        id="explorer-q",
        type="search",
        value=view.search,
        debounce=0.3,
        placeholder="Label or top token",
        className="form-control",
    )
    clear = html.Button("Clear filters", id="explorer-clear", className="button", disabled=not view.filters)
    actions = [html.Label("Label or top token", htmlFor="explorer-q", className="visually-hidden"), search, clear]
    note = [
        html.Span(id="explorer-count", role="status"),
        html.Span(id="explorer-filters"),
        html.Span(_missing_words(store), id="explorer-missing"),
    ]
    none = html.Div(
        empty_state(
            "No feature matches", "Change the filters, or clear them to see every feature.", icon_name="filter"
        ),
        id="explorer-none",
        hidden=True,
    )
    return panel("Features", [bulk_bar(), grid, none], note=note, actions=actions, class_name="is-flush explorer-table")


def _densities(store: Store) -> html.Section:
    frame = features_frame(store)
    dead = int((frame["n"] == 0).sum())
    figure = remembered("densities", store, (), lambda: density_histogram(frame["density"].to_numpy()))
    graph = dcc.Graph(id="explorer-densities", figure=figure, config=CONFIG, style={"height": DENSITY_HEIGHT})
    note = f"{plural(store.features, 'feature')}, {count(dead)} never fire"
    return panel("Density", graph, note=note, min_height=DENSITY_HEIGHT)


def _map(store: Store, view: View) -> html.Section:
    graph = dcc.Graph(
        id="explorer-map",
        figure=_map_figure(store, view),
        config={**CONFIG, "doubleClick": False},
        style={"height": "calc(100vh - 396px)", "minHeight": 300},
        clear_on_unhover=True,
    )
    return panel(
        "Map",
        graph,
        note="drag to filter, double-click to clear",
        class_name="explorer-map-panel",
    )


def _missing_words(store: Store) -> str:
    missing = missing_tables(store)
    return f"still being computed: {', '.join(missing)}" if missing else ""


def _map_figure(store: Store, view: View) -> Any:
    if not store.has("map"):
        return no_map("The map is still being computed." if has_weights(store) else NO_WEIGHTS)
    frame = labelled_frame(store)
    unlabelled = remembered("map", store, (), lambda: feature_map(with_labels(features_frame(store), {})))
    return view_of_map(unlabelled, frame, matches(frame, view), view.box)


@callback(
    Output("explorer-grid", "getRowsResponse"),
    Output("explorer-count", "children"),
    Output("explorer-filters", "children"),
    Output("explorer-href", "data"),
    Output("explorer-clear", "disabled"),
    Output("explorer-none", "hidden"),
    Output("explorer-map", "figure", allow_duplicate=True),
    Output("explorer-densities", "figure"),
    Input("explorer-grid", "getRowsRequest"),
    State("explorer-store", "data"),
    prevent_initial_call=True,
)
def serve_rows(request: dict[str, Any] | None, store_id: str) -> Any:
    """Answer the grid's request for a block of rows; with the first block everything that depends on the view."""
    if request is None:
        return (no_update,) * 8
    store, view = context.workspace().open_store(store_id), view_of_request(request)
    frame = labelled_frame(store)
    rows, kept = page(frame, view, request["startRow"], request["endRow"])
    found = int(kept.sum())
    has_tokens, may_edit = store.has("tokens"), may("labeller")
    response = {
        "rowData": [row_of(row, store, has_tokens, may_edit) for row in rows.to_dict("records")],
        "rowCount": found,
    }
    if request["startRow"] > 0:
        return (response, *(no_update,) * 7)
    words = f"{count(found)} of {plural(len(frame), 'feature')}"
    map_patch, density_patch = Patch(), Patch()
    map_patch["data"][0]["selectedpoints"] = dimmed(kept)
    map_patch["layout"]["selections"] = selections(view.box)
    density_patch["data"][1]["y"] = binned(frame["density"].to_numpy(), kept=kept)
    return (
        response,
        words,
        describe(view),
        urls.explorer(store_id, **view.to_query()),
        not view.filters,
        found > 0,
        map_patch if store.has("map") else no_update,
        density_patch,
    )


@callback(
    Output("explorer-map", "figure"),
    Output("explorer-missing", "children"),
    Input("shell-generation", "data"),
    State("explorer-store", "data"),
    State("explorer-grid", "getRowsRequest"),
    State("explorer-missing", "children"),
    prevent_initial_call=True,
)
def take_new_tables(_: Any, store_id: str, request: dict[str, Any] | None, known: str) -> Any:
    """Draw the map when it lands and say what is still missing; the table reads anew by itself (see below)."""
    store = context.workspace().open_store(store_id)
    words = _missing_words(store)
    return (no_update, no_update) if words == known else (_map_figure(store, view_of_request(request or {})), words)


@callback(
    Output("shell-navigate", "href", allow_duplicate=True),
    Input("explorer-map", "clickData"),
    State("explorer-store", "data"),
    prevent_initial_call=True,
)
def open_point(clicked: dict[str, Any] | None, store_id: str) -> Any:
    """A click on a point of the map opens its feature."""
    return urls.feature(store_id, clicked["points"][0]["customdata"]) if clicked else no_update


@callback(Output("explorer-waiting", "href"), Input("shell-generation", "data"), prevent_initial_call=True)
def open_first_store(_: Any) -> Any:
    """Leave the waiting page once a store is there."""
    first = _first_store()
    return urls.explorer(first) if first else no_update


# The address bar follows the view; typing, the map's area and the button change the grid's filters in the browser.
clientside_callback(
    ClientsideFunction("loupe", "writeUrl"), Output("shell-url-written", "data"), Input("explorer-href", "data")
)
clientside_callback(
    ClientsideFunction("explorer", "filter"),
    Output("explorer-q", "value"),
    Input("explorer-q", "value"),
    Input("explorer-map", "selectedData"),
    Input("explorer-clear", "n_clicks"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("explorer", "refresh"),
    Output("explorer-grid", "id"),
    Input("explorer-missing", "children"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("labelling", "choose"),
    Output("bulk-selected", "data"),
    Input("explorer-grid", "selectedRows"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("labelling", "refresh"),
    Output("explorer-count", "data-refreshed"),
    Input("label-saved", "data"),
    Input("bulk-done", "data"),
    prevent_initial_call=True,
)
