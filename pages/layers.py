"""Layers: what becomes of features from one layer to the next, each fate with its features and their shared examples."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, ctx, dcc, html, no_update

from catalog.jobs import jobs
from dashboard import urls
from dashboard.advice_panel import advice_panel
from dashboard.components import empty_state, plural
from dashboard.components.layer_panels import FLOW_HEIGHT, NULL_HEIGHT, TABLE_HEIGHT, match_panels
from dashboard.components.layers import comparison, fate_options, match_table, set_links
from dashboard.context import catalog, workspace
from dashboard.figures.layers import arrange, clicked_key, draw_flow, draw_null
from dashboard.figures.theme import colour
from dashboard.layer_rows import FATE_WORDS, fate_counts
from dashboard.layer_view import (
    MOST_ROWS,
    View,
    compare_features,
    dead_words,
    layer_nodes,
    null_sentence,
    open_members,
    read_view,
    steps_shown,
    table_rows,
)
from dashboard.weights_panel import weights_body, weights_panel
from loaders.errors import StoreNotFound
from loaders.layers import LayerSet
from loaders.store import Store

POLL_MS = 4_000


def layout(
    set_id: str | None = None,
    pair: str | None = None,
    fate: str | None = None,
    row: str | None = None,
    weights: str | None = None,
    **_: str,
) -> html.Div:
    """The page of a set, or of the first matched one; every state without matches is a sentence."""
    sets = workspace().sets()
    shown = set_id or _first(sets)
    if shown is None:
        return _page(
            None, sets, _waiting("No store is ready yet", ["Layers are matched once two of them are harvested."])
        )
    if shown not in sets:
        known = [part for name in sets for part in (" · ", dcc.Link(name, href=urls.layers(name)))][1:]
        words: list[Any] = ["Sets here: ", *(known or ["none yet"])]
        return _page(None, sets, _nothing(f"There is no set '{shown[:80]}' in this workspace", words))
    below = _below(sets[shown], weights)
    if len(sets[shown]) < 2:
        words = [f"It holds {sets[shown][0]} alone, and matching needs two layers. Harvest another SAE into the set."]
        return _page(shown, sets, [*_waiting(f"Set '{shown}' has one layer", words), below])
    try:
        layers = workspace().layer_set(shown)
    except StoreNotFound:
        words = [
            "The pipeline matches them when every layer is harvested; alone, ",
            html.Code(f"loupe match-layers --set {shown}"),
            " does.",
        ]
        return _page(shown, sets, [*_waiting(f"The layers of set '{shown}' have not been matched yet", words), below])
    stores = open_members(workspace(), layers)
    return _page(shown, sets, [*_body(layers, stores, read_view(layers, pair, fate, row, list(FATE_WORDS))), below])


dash.register_page(__name__, path_template="/layers/<set_id>", title="Layers · Loupe", layout=layout)
dash.register_page("pages.layers_first", path="/layers", title="Layers · Loupe", layout=layout)


def _first(sets: dict[str, list[str]]) -> str | None:
    """The oldest matched set, else the oldest that has several layers, else the oldest."""
    matched = {set_id for set_id in sets if (workspace().layers_dir(set_id) / "manifest.json").exists()}
    return max(sets, key=lambda set_id: (set_id in matched, len(sets[set_id]) > 1), default=None)


def _page(shown: str | None, sets: dict[str, list[str]], body: list[Any]) -> html.Div:
    links = [(name, urls.layers(name), name == shown) for name in sets] if len(sets) > 1 else []
    header = html.Div(
        [
            html.H1("Layers", className="page-title"),
            html.P("What becomes of features from one layer to the next.", className="page-lead"),
            html.Div(set_links(links) if links else None, className="page-actions"),
        ],
        className="page-header",
    )
    return html.Div([header, dcc.Store(id="layers-set", data=shown), *body], className="page")


def _nothing(title: str, words: list[Any]) -> list[Any]:
    action = dcc.Link("Go to Home", href=urls.home())
    return [html.Section(empty_state(title, words, action=action, icon_name="layers"), className="panel")]


def _waiting(title: str, words: list[Any]) -> list[Any]:
    """A page without matches that looks again while the pipeline works."""
    is_busy = any(job.status in ("running", "waiting") for job in jobs(catalog()))
    return [*_nothing(title, words), dcc.Interval(id="layers-wake", interval=POLL_MS, disabled=not is_busy)]


def _below(stores: list[str], chosen: str | None) -> html.Div:
    """Where to train an SAE, and the weights of one of the set's SAEs; both need no matches."""
    saes = [store.partition("@")[0] for store in stores]
    return html.Div([advice_panel(workspace(), stores), weights_panel(saes, chosen)], className="grid")


def _body(layers: LayerSet, stores: list[Store], view: View) -> list[Any]:
    members = range(len(stores))
    pairs = [(f"{i}-{j}", f"{stores[i].sae_id} → {stores[j].sae_id}") for i in members for j in members if i < j]
    pairs.sort(key=lambda pair: int(pair[0].split("-")[1]) - int(pair[0].split("-")[0]))
    options = fate_options(*fate_counts(layers, view.earlier, view.later), FATE_WORDS)
    return match_panels(pairs, view.pair, options, view.fate, view.row)


@callback(
    Output("shell-navigate", "href", allow_duplicate=True),
    Input("layers-wake", "n_intervals"),
    State("layers-set", "data"),
    prevent_initial_call=True,
)
def wake(_: int | None, set_id: str | None) -> Any:
    """Leave the waiting page once the matches are there."""
    shown = set_id or _first(workspace().sets())
    is_matched = shown is not None and (workspace().layers_dir(shown) / "manifest.json").exists()
    return urls.layers(shown) if is_matched else no_update


@callback(
    Output("layers-pair", "value"),
    Output("layers-fate", "value"),
    Input("layers-flow", "clickData"),
    State("layers-pair", "value"),
    State("layers-fate", "value"),
    State("layers-set", "data"),
    prevent_initial_call=True,
)
def choose_band(clicked: dict[str, Any] | None, pair: str, fate: str, set_id: str) -> Any:
    """A click on a band or on a fate chooses it; a click on a layer does nothing."""
    if not clicked:
        return no_update, no_update
    layers, stores, view = _open(set_id, pair, fate, "")
    bands = arrange(layer_nodes(layers, stores), steps_shown(layers, view))
    new_pair, _, new_fate = clicked_key(clicked["points"][0], bands).partition("/")
    return (new_pair, new_fate) if new_fate else (no_update, no_update)


@callback(
    Output("layers-flow", "figure"),
    Output("layers-fate", "options"),
    Output("layers-null", "figure"),
    Output("layers-null-words", "children"),
    Output("layers-dead", "children"),
    Output("layers-table-title", "children"),
    Output("layers-table-body", "children"),
    Output("layers-table-note", "children"),
    Input("layers-pair", "value"),
    Input("layers-fate", "value"),
    State("layers-set", "data"),
    State("layers-row", "data"),
)
def show_fate(pair: str, fate: str, set_id: str, row: str) -> tuple[Any, ...]:
    """Draw the flow with the chosen fate standing out, the null of its pair, and its features."""
    layers, stores, view = _open(set_id, pair, fate, row if ctx.triggered_id is None else "")  # a URL names a row
    rows, total = table_rows(layers, stores, view)
    known = {found["id"] for found in rows}
    chosen = view.row if view.row in known else rows[0]["id"] if rows else None
    names = (stores[view.earlier].sae_id, stores[view.later].sae_id)
    real = layers.flows(view.earlier, view.later).query("side == 'source'")["pearson"].to_numpy()
    none = f"No {fate} between {names[0]} and {names[1]}"
    table = match_table(rows, names, chosen, none, has_cosine=layers.has_shared_basis, height=TABLE_HEIGHT)
    return (
        draw_flow(layer_nodes(layers, stores), steps_shown(layers, view), chosen=f"{pair}/{fate}", height=FLOW_HEIGHT),
        fate_options(*fate_counts(layers, view.earlier, view.later), FATE_WORDS),
        draw_null(
            real,
            layers.null(view.earlier, view.later),
            layers.threshold(view.earlier, view.later),
            colour(view.earlier),
            height=NULL_HEIGHT,
        ),
        [html.B(text) if is_stressed else text for text, is_stressed in null_sentence(layers, stores, view)],
        dead_words(layers, stores, view),
        f"{fate.capitalize()}: {names[0]} → {names[1]}",
        table,
        _row_words(len(rows), total, fate),
    )


def _row_words(shown: int, total: int, fate: str) -> str:
    noun = "feature" if fate in ("death", "birth") else "link"
    words = plural(total, noun) + (", strongest Pearson first" if total > 1 else "")
    return words if shown == total else f"{words}; the first {MOST_ROWS:,} are listed"


def _open(set_id: str, pair: str, fate: str, row: str) -> tuple[LayerSet, list[Store], View]:
    layers = workspace().layer_set(set_id)
    return layers, open_members(workspace(), layers), read_view(layers, pair, fate, row, list(FATE_WORDS))


@callback(
    Output("layers-comparison", "children"),
    Output("layers-comparison-note", "children"),
    Output("layers-row", "data"),
    Output("layers-href", "data"),
    Input("layers-table", "selectedRows"),
    State("layers-table", "rowData"),
    State("layers-pair", "value"),
    State("layers-fate", "value"),
    State("layers-set", "data"),
    State("layers-weights-sae", "value"),
)
def show_examples(
    selected: Any, rows: list[dict[str, Any]] | None, pair: str, fate: str, set_id: str, weights: str
) -> tuple[Any, ...]:
    """Show what the two features of the chosen row have in common, and name the view in the URL."""
    ids = selected["ids"] if isinstance(selected, dict) else [row["id"] for row in selected or []]
    row = next((row for row in rows or [] if row["id"] in ids), None)
    first = workspace().sets()[set_id][0].partition("@")[0]  # whose weights are shown unless the address says otherwise
    shown = weights if weights != first else None
    href = urls.layers(set_id, pair=pair, fate=fate, row=row["id"] if row else None, weights=shown)
    if row is None:
        return empty_state("Nothing to compare", "Choose a row of the table."), "", "", href
    layers, stores, view = _open(set_id, pair, fate, row["id"])
    found = compare_features(layers, stores, view, row)
    return comparison(found.sides), found.words, row["id"], href


@callback(Output("layers-weights", "children"), Input("layers-weights-sae", "value"))
def show_weights(sae_id: str) -> Any:
    """Draw the weights of the chosen SAE."""
    return weights_body(workspace(), sae_id)


clientside_callback(
    ClientsideFunction("layers", "nameWeights"),
    Output("layers-weights-sae", "title"),
    Input("layers-weights-sae", "value"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("loupe", "writeUrl"),
    Output("shell-url-written", "data", allow_duplicate=True),
    Input("layers-href", "data"),
    prevent_initial_call=True,
)
for side in (0, 1):
    clientside_callback(
        ClientsideFunction("tokens", "show"),
        Output(f"layers-examples-{side}", "data-shown"),
        Input(f"layers-examples-data-{side}", "data"),
        State("layers-mode", "data"),
        State(f"layers-examples-{side}", "id"),
    )
