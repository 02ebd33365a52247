"""Feature: everything about one feature. The first screen is part of the layout; what lies below it fills by callbacks."""

import random
from typing import Any

import dash
import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.labels import labels_of
from dashboard import feature_labels, urls
from dashboard.components import empty_state, panel
from dashboard.components.feature_header import Facts, feature_header
from dashboard.components.label_editor import editor_stores, label_editor
from dashboard.context import author, catalog, workspace
from dashboard.feature_layers import arrive, layer_switch
from dashboard.feature_panels import (
    band_panel,
    categories_panel,
    facts_of,
    histogram_figure,
    histogram_panel,
    influences_panel,
    neighbours_panel,
    peaks_of,
    strongest,
    strongest_panel,
    tokens_panel,
)
from dashboard.feature_view import BANDS, RANKINGS, View
from loaders.errors import FeatureNotFound, StoreNotFound
from loaders.store import Store


def title(store: str = "", feature: str = "", **_: str) -> str:
    """The browser tab's title."""
    return f"#{feature} · {store} · Loupe"


dash.register_page(__name__, path_template="/feature/<store>/<feature>", title=title)
feature_labels.register()


def layout(store: str = "", feature: str = "", **query: str) -> html.Div:
    """The whole page for a URL; an unknown store or feature becomes a sentence with ways on."""
    space = workspace()
    if not (feature.isascii() and feature.isdigit() and len(feature) < 10):
        return _nowhere("This address names no feature", f"A feature is a number: found '{feature[:40]}'.", store)
    try:
        opened = space.open_store(store)
        facts = facts_of(opened, int(feature))
    except (StoreNotFound, FeatureNotFound) as error:
        return _nowhere("There is no such feature", str(error), store)
    arrival = arrive(space, opened, int(feature), query)
    if arrival.redirect:
        return html.Div(dcc.Store(id="feature-redirect", data=arrival.redirect), className="page feature-page")
    return _page(opened, int(feature), facts, arrival.words, query)


def _nowhere(title: str, sentence: str, store: str) -> html.Div:
    stores = workspace().store_ids()
    ways = [dcc.Link(f"Explore {known}", href=urls.explorer(known)) for known in stores if known == store] or [
        dcc.Link(f"Explore {known}", href=urls.explorer(known)) for known in stores[:8]
    ]
    action = html.Div([*ways, dcc.Link("Go to Home", href=urls.home())], className="feature-ways")
    return html.Div(
        html.Section(empty_state(title, sentence, action=action, icon_name="search"), className="panel"),
        className="page",
    )


def _page(store: Store, feature: int, facts: Facts, words: list[Any], query: dict[str, str]) -> html.Div:
    columns = store.dataset.category_columns()
    view = View.read(query, columns)
    label = feature_labels.newest(store, feature)
    place = {"store": store.id, "feature": feature, "generation": store.generation, "from": query.get("from", "")}
    where = f"{store.sae_id} · {store.hook} · {store.manifest['dataset']}"
    layers = layer_switch(workspace(), store, feature, view.query())
    return html.Div(
        [
            dcc.Store(id="feature-place", data=place),
            dcc.Store(id="feature-href"),
            *editor_stores(label),
            feature_header(feature, where, label, facts, layers, _links(store, feature, view), words),
            html.Div(_first_screen(store, feature, facts, view), id="feature-first", className="grid is-even"),
            *_below(view, columns),
            label_editor(label, author(), f"#{feature} of {store.sae_id}"),
        ],
        className="page feature-page",
    )


def _links(store: Store, feature: int, view: View) -> dict[str, str]:
    stats = store.stats()
    living = stats["feature_id"].to_numpy()[stats["n"].to_numpy() > 0]
    other = int(random.choice(living)) if len(living) else feature
    return {
        "previous": urls.feature(store.id, (feature - 1) % store.features, **view.query()),
        "next": urls.feature(store.id, (feature + 1) % store.features, **view.query()),
        "random": urls.feature(store.id, other, **view.query()),
        "explorer": urls.explorer(store.id),
    }


def _first_screen(store: Store, feature: int, facts: Facts, view: View) -> list[html.Section]:
    found = strongest(store, feature)
    histogram = histogram_panel(store, feature, facts, found, view)
    examples = strongest_panel(facts, found)
    influences_title, influences = influences_panel(store, feature)
    neighbours = neighbours_panel(store, feature, lambda: _names(store), view)
    return [
        panel(
            "Activations",
            histogram.data,
            note=histogram.note,
            actions=_choice("feature-scale", {"linear": "linear", "log": "log"}, view.scale, "Scale of the counts"),
            class_name="span-5 feature-histogram-panel",
        ),
        panel(
            "Strongest examples",
            [dcc.Store(id="feature-strongest-data", data=examples.data), _fill("feature-strongest")],
            note=examples.note,
            actions=_choice("feature-text", {"snippet": "snippet", "whole": "whole context"}, view.text, "Text shown"),
            class_name="span-7",
        ),
        panel(influences_title, influences.data, note=influences.note, class_name="span-5 feature-influences-panel"),
        panel(
            "Nearest features",
            [dcc.Store(id="feature-neighbours-data", data=neighbours.data), _fill("feature-neighbours")],
            note=neighbours.note,
            class_name="span-7",
        ),
    ]


def _names(store: Store) -> dict[int, str]:
    return {feature: label.name for feature, label in labels_of(catalog(), store.sae_fingerprint).items()}


def _below(view: View, columns: list[str]) -> list[Any]:
    bands = {band: "strongest" if quantiles is None else f"{band} %" for band, quantiles in BANDS.items()}
    units = {"token": "tokens", "bigram": "bigrams"}
    column = view.column or (columns[0] if columns else "")
    return [
        panel(
            "Examples by strength",
            [dcc.Store(id="feature-band-data"), _fill("feature-band-examples", "is-two-columns")],
            note=html.Span(id="feature-band-note"),
            actions=[
                _choice("feature-band", bands, view.band, "Quantiles of the firing samples"),
                html.Button("draw again", id="feature-draw", className="button", n_clicks=0),
            ],
            class_name="feature-bands",
        ),
        html.Div(
            [
                panel(
                    "Tokens",
                    [dcc.Store(id="feature-tokens-data"), _fill("feature-tokens")],
                    note=html.Span(id="feature-tokens-note"),
                    actions=[
                        _choice("feature-unit", units, view.unit, "Single tokens or pairs"),
                        _choice("feature-rank", RANKINGS, view.rank, "Ranked by"),
                    ],
                    class_name="span-6 feature-tall",
                ),
                panel(
                    "Categories",
                    html.Div(id="feature-categories", className="fill"),
                    note=html.Span(id="feature-categories-note"),
                    actions=[
                        html.Label("Metadata column", htmlFor="feature-column", className="visually-hidden"),
                        dbc.Select(id="feature-column", options=columns, value=column, size="sm"),
                    ],
                    class_name="span-6 feature-tall",
                ),
            ],
            className="grid is-even",
        ),
        panel(
            "Label history",
            [dcc.Store(id="feature-history-data"), _fill("feature-history")],
            class_name="feature-history-panel",
        ),
    ]


def _choice(id: str, options: dict[str, str], value: str, words: str) -> html.Div:
    items = [{"value": key, "label": label} for key, label in options.items()]
    return html.Div(
        dbc.RadioItems(id=id, options=items, value=value, className="segmented"),
        role="radiogroup",
        title=words,
        **{"aria-label": words},
    )


def _fill(id: str, class_name: str = "") -> html.Div:
    """An empty Div that a clientside function fills; grey while it is empty."""
    return html.Div(id=id, className=f"fill {class_name}".strip())


@callback(
    Output("feature-first", "children"),
    Output("feature-place", "data"),
    Input("shell-generation", "data"),
    State("feature-place", "data"),
    State("feature-scale", "value"),
    State("feature-text", "value"),
    prevent_initial_call=True,
)
def refresh(_: Any, place: dict[str, Any], scale: str, text: str) -> tuple[Any, Any]:
    """Fill the first screen again when the pipeline has published another table of this store."""
    store = workspace().open_store(place["store"])
    if store.generation == place["generation"]:
        return no_update, no_update
    facts = facts_of(store, place["feature"])
    first = _first_screen(store, place["feature"], facts, View(scale=scale, text=text))
    return first, {**place, "generation": store.generation}


@callback(
    Output("feature-histogram", "figure"),
    Input("feature-scale", "value"),
    State("feature-place", "data"),
    prevent_initial_call=True,
)
def scale_histogram(scale: str, place: dict[str, Any]) -> Any:
    """Switch the counts between a linear and a logarithmic axis."""
    store, feature = workspace().open_store(place["store"]), place["feature"]
    return histogram_figure(
        store, feature, facts_of(store, feature), scale == "log", peaks_of(strongest(store, feature))
    )


@callback(
    Output("feature-band-data", "data"),
    Output("feature-band-note", "children"),
    Output("feature-draw", "disabled"),
    Input("feature-place", "data"),
    Input("feature-band", "value"),
    Input("feature-draw", "n_clicks"),
)
def draw_band(place: dict[str, Any], band: str, seed: int | None) -> tuple[Any, str, bool]:
    """Examples of the chosen band of quantiles; every press draws others."""
    content = band_panel(workspace().open_store(place["store"]), place["feature"], band, seed or 0)
    return content.data, content.note, BANDS[band] is None


@callback(
    Output("feature-tokens-data", "data"),
    Output("feature-tokens-note", "children"),
    Input("feature-place", "data"),
    Input("feature-rank", "value"),
    Input("feature-unit", "value"),
)
def rank_tokens(place: dict[str, Any], rank: str, unit: str) -> tuple[Any, str]:
    """Tokens or bigrams by the chosen measure."""
    return tuple(tokens_panel(workspace().open_store(place["store"]), place["feature"], rank, unit == "bigram"))


@callback(
    Output("feature-categories", "children"),
    Output("feature-categories-note", "children"),
    Input("feature-place", "data"),
    Input("feature-column", "value"),
)
def break_down(place: dict[str, Any], column: str) -> tuple[Any, str]:
    """Firing rates by the chosen metadata column."""
    return tuple(categories_panel(workspace().open_store(place["store"]), place["feature"], column))


@callback(
    Output("feature-href", "data"),
    Output("feature-previous", "href"),
    Output("feature-next", "href"),
    Output("feature-random", "href"),
    Input("feature-scale", "value"),
    Input("feature-text", "value"),
    Input("feature-band", "value"),
    Input("feature-rank", "value"),
    Input("feature-unit", "value"),
    Input("feature-column", "value"),
    State("feature-place", "data"),
    State("feature-column", "options"),
    prevent_initial_call=True,
)
def name_view(
    scale: str, text: str, band: str, rank: str, unit: str, column: str, place: dict[str, Any], columns: list[str]
) -> tuple[str, str, str, str]:
    """The URL of what is shown, and the way on that keeps these choices."""
    is_first = not columns or column == columns[0]
    view = View(scale, text, band, rank, unit, "" if is_first else column)
    store, feature = workspace().open_store(place["store"]), place["feature"]
    here = {**view.query(), "from": place["from"] or None}
    links = _links(store, feature, view)
    return urls.feature(store.id, feature, **here), links["previous"], links["next"], links["random"]


clientside_callback(
    ClientsideFunction("loupe", "writeUrl"),
    Output("shell-url-written", "data", allow_duplicate=True),
    Input("feature-href", "data"),
    prevent_initial_call=True,
)
clientside_callback(
    ClientsideFunction("feature", "follow"), Output("feature-redirect", "data"), Input("feature-redirect", "data")
)
for shown, data in (("strongest", "strongest"), ("band-examples", "band")):
    clientside_callback(
        ClientsideFunction("tokens", "show"),
        Output(f"feature-{shown}", "data-shown"),
        Input(f"feature-{data}-data", "data"),
        Input("feature-text", "value"),
        State(f"feature-{shown}", "id"),
    )
for shown in ("neighbours", "tokens", "history"):
    clientside_callback(
        ClientsideFunction("feature", "table"),
        Output(f"feature-{shown}", "data-shown"),
        Input(f"feature-{shown}-data", "data"),
        State(f"feature-{shown}", "id"),
    )
