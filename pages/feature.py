"""Feature: everything about one feature. The first screen is part of the layout; what lies below it fills by callbacks."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.labels import get_label
from dashboard import feature_discussion, label_editing, urls
from dashboard.access.visitor import visitor
from dashboard.cache import remembered
from dashboard.components import empty_state
from dashboard.components.feature_header import Facts, feature_header
from dashboard.components.label_editor import editor_stores, label_editor
from dashboard.components.label_words import label_title
from dashboard.context import author, catalog, workspace
from dashboard.feature_discussion import discussion_data, discussion_stores
from dashboard.feature_layers import arrive, layer_switch
from dashboard.feature_panels import (
    band_panel,
    categories_panel,
    facts_of,
    histogram_figure,
    peaks_of,
    strongest,
    tokens_panel,
)
from dashboard.feature_screen import first_screen, lower_screens, step_links
from dashboard.feature_view import BANDS, View
from dashboard.known_labels import known_labels
from dashboard.label_reading import text_of
from loaders.errors import FeatureNotFound, StoreNotFound
from loaders.store import Store


def title(store: str = "", feature: str = "", **_: str) -> str:
    """The browser tab's title."""
    return f"#{feature} · {store} · Loupe"


dash.register_page(__name__, path_template="/feature/<store>/<feature>", title=title)
label_editing.register()
feature_discussion.register()


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
    label = text_of(get_label(catalog(), store.sae_fingerprint, feature))
    place = {"store": store.id, "feature": feature, "generation": store.generation, "from": query.get("from", "")}
    where = f"{store.sae_id} · {store.hook} · {store.manifest['dataset']}"
    layers = layer_switch(workspace(), store, feature, view.query())
    first, links = first_screen(store, feature, facts, view, lambda: _names(store)), step_links(store, feature, view)
    return html.Div(
        [
            dcc.Store(id="feature-place", data=place),
            dcc.Store(id="feature-href"),
            *editor_stores(),
            *discussion_stores(),
            feature_header(feature, where, f"{store.id}/{feature}", label, facts, layers, links, words),
            html.Div(first, id="feature-first", className="grid is-even"),
            *lower_screens(store, feature, view, columns),
            label_editor(author(), is_known=visitor().is_person),
        ],
        className="page feature-page",
    )


def _names(store: Store) -> dict[int, str]:
    return {feature: label.name for feature, label in known_labels(store).items()}


@callback(
    Output("feature-title", "children"),
    Output("feature-status", "children"),
    Output("feature-talk", "data"),
    Input("feature-place", "data"),
    Input("label-saved", "data"),
)
def follow_label(place: dict[str, Any], saved: dict[str, Any] | None) -> tuple[Any, str, dict[str, Any]]:
    """The label in the title and everything that was said about it, as it is now."""
    store, feature = workspace().open_store(place["store"]), place["feature"]
    label = text_of(get_label(catalog(), store.sae_fingerprint, feature))
    return label_title(label), (saved or {}).get("words", ""), discussion_data(store, feature)


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
    first = first_screen(store, place["feature"], facts, View(scale=scale, text=text), lambda: _names(store))
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
    store, asked = workspace().open_store(place["store"]), (place["feature"], band, seed or 0)
    data, note = remembered("examples", store, asked, lambda: band_panel(store, *asked))
    return data, note, BANDS[band] is None


@callback(
    Output("feature-tokens-data", "data"),
    Output("feature-tokens-note", "children"),
    Input("feature-place", "data"),
    Input("feature-rank", "value"),
    Input("feature-unit", "value"),
)
def rank_tokens(place: dict[str, Any], rank: str, unit: str) -> tuple[Any, str]:
    """Tokens or bigrams by the chosen measure."""
    store, asked = workspace().open_store(place["store"]), (place["feature"], rank, unit == "bigram")
    return tuple(remembered("tokens", store, asked, lambda: tokens_panel(store, *asked)))


@callback(
    Output("feature-categories", "children"),
    Output("feature-categories-note", "children"),
    Input("feature-place", "data"),
    Input("feature-column", "value"),
)
def break_down(place: dict[str, Any], column: str) -> tuple[Any, str]:
    """Firing rates by the chosen metadata column."""
    store, asked = workspace().open_store(place["store"]), (place["feature"], column)
    return tuple(remembered("categories", store, asked, lambda: categories_panel(store, *asked)))


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
    links = step_links(store, feature, view)
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
for shown in ("neighbours", "tokens", "facts"):
    clientside_callback(
        ClientsideFunction("feature", "table"),
        Output(f"feature-{shown}", "data-shown"),
        Input(f"feature-{shown}-data", "data"),
        State(f"feature-{shown}", "id"),
    )
