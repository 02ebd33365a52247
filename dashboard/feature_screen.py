"""The panels of the Feature page in their places: the first screen filled, what lies below it as skeletons."""

import random
from collections.abc import Callable
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard import urls
from dashboard.cache import remembered
from dashboard.components import panel
from dashboard.components.feature_header import Facts
from dashboard.feature_discussion import remarks_panels, versions_panel
from dashboard.feature_panels import (
    Content,
    facts_panel,
    histogram_panel,
    influences_panel,
    neighbours_panel,
    strongest,
    strongest_panel,
)
from dashboard.feature_view import BANDS, RANKINGS, View
from loaders.store import Store


def step_links(store: Store, feature: int, view: View) -> dict[str, str]:
    """Where previous, next, another living feature at random and the Explorer are; the reader's choices go along."""
    stats = store.stats()
    ids = stats["feature_id"].to_numpy()
    others = ids[(stats["n"].to_numpy() > 0) & (ids != feature)]
    other = int(random.choice(others)) if len(others) else feature
    return {
        "previous": urls.feature(store.id, (feature - 1) % store.features, **view.query()),
        "next": urls.feature(store.id, (feature + 1) % store.features, **view.query()),
        "random": urls.feature(store.id, other, **view.query()),
        "explorer": urls.explorer(store.id),
    }


def first_screen(
    store: Store, feature: int, facts: Facts, view: View, names: Callable[[], dict[int, str]]
) -> list[html.Section]:
    """The four panels that are seen without scrolling; `names` reads labels by feature id."""
    found = strongest(store, feature)
    drawn = remembered(
        "histogram", store, (feature, view.scale), lambda: histogram_panel(store, feature, facts, found, view)
    )
    histogram, examples = Content(*drawn), strongest_panel(facts, found)
    influences_title, listed = remembered("influences", store, (feature,), lambda: influences_panel(store, feature))
    influences = Content(*listed)
    neighbours = neighbours_panel(store, feature, names, view)
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


def lower_screens(store: Store, feature: int, view: View, columns: list[str]) -> list[Any]:
    """What lies below the first screen: skeletons that the page's callbacks fill."""
    bands = {band: "strongest" if quantiles is None else f"{band} %" for band, quantiles in BANDS.items()}
    units = {"token": "tokens", "bigram": "bigrams"}
    place = ("stores", store.id, "features", feature, "activations")
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
        html.Div(
            [
                panel(
                    "Figures",
                    [dcc.Store(id="feature-facts-data", data=facts_panel(store, feature)), _fill("feature-facts")],
                    note="exact, zeros left out",
                    actions=[
                        html.A("JSON", href=urls.api(*place), title="All activations as JSON"),
                        html.A("Arrow", href=urls.api(*place) + ".arrow", title="All activations as an Arrow stream"),
                    ],
                    class_name="span-5 feature-facts-panel",
                ),
                versions_panel(),
            ],
            className="grid is-even",
        ),
        html.Div(remarks_panels(), className="grid is-even"),
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
