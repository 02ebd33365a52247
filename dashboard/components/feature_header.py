"""The head of the Feature page: which feature, its label, its figures, its neighbours by number and by layer."""

from typing import Any, NamedTuple

from dash import dcc, html

from dashboard.components.blocks import badge, icon, stat
from dashboard.components.label_words import LabelText, label_title
from dashboard.components.numbers import count, figures, percent
from dashboard.density import DENSE


class Layer(NamedTuple):
    """One member of the set in the layer switch; `href` leads to the matched feature, or back with a sentence."""

    name: str
    hook: str
    href: str
    is_here: bool
    words: str  # "#88, Pearson 0.83", "no match"


class Facts(NamedTuple):
    """The figures of one feature that its head shows."""

    n: int
    samples: int
    density: float
    maximum: float
    mean: float
    median: float
    upper: float  # quartile

    @property
    def is_dead(self) -> bool:
        return self.n == 0

    @property
    def is_dense(self) -> bool:
        return self.density >= DENSE


def feature_header(
    feature_id: int,
    place: str,
    edited: str,
    label: LabelText,
    facts: Facts,
    layers: list[Layer],
    links: dict[str, str],
    arrival: list[Any],
) -> html.Header:
    """`place` names SAE, hook point and dataset, `edited` the store and feature whose label the button edits; `links` are
    the hrefs of previous, next, random and explorer.

    `arrival` says how the reader came here from another layer, or why they stayed.
    """
    return html.Header(
        [
            html.Div(
                [
                    html.H1(
                        [
                            html.Span(f"#{feature_id}", className="feature-id num"),
                            html.Span(label_title(label), id="feature-title"),
                        ],
                        className="page-title",
                    ),
                    html.Button(
                        [icon("pencil"), "Label"],
                        id="feature-edit",
                        className="button writes",
                        title="Name this feature (e)",
                        **{"data-edit-label": edited},
                    ),
                    html.Span(id="feature-status", className="feature-status", role="status"),
                    *([html.P(arrival, className="feature-arrival", role="status")] if arrival else []),
                    html.Nav(
                        [
                            _step("previous", "Previous feature (k)", links["previous"]),
                            _step("next", "Next feature (j)", links["next"]),
                            _step("random", "A random feature that fires (r)", links["random"]),
                        ],
                        className="feature-steps",
                        **{"aria-label": "Other features"},
                    ),
                ],
                className="feature-head-line",
            ),
            html.Div(
                [
                    html.Div(
                        [dcc.Link(place, href=links["explorer"], title="All features of this store"), *_flags(facts)],
                        className="feature-place",
                    ),
                    html.Div(_figures(facts), className="stats"),
                    *_layer_switch(layers),
                ],
                className="feature-head-line",
            ),
        ],
        className="panel feature-head",
    )


def _step(name: str, words: str, href: str) -> dcc.Link:
    picture = icon(name) if name != "random" else icon("random")
    hidden = html.Span(words, className="visually-hidden")
    return dcc.Link([picture, hidden], href=href, id=f"feature-{name}", className="icon-button", title=words)


def _flags(facts: Facts) -> list[Any]:
    if facts.is_dead:
        return [badge("dead", "dead")]
    return [badge("dense", "warning")] if facts.is_dense else []


def _figures(facts: Facts) -> list[html.Div]:
    fires = f"Share of the {count(facts.samples)} samples on which the feature fires"
    return [
        stat("density", percent(facts.density), hint=fires),
        stat("fires on", count(facts.n), unit=f"of {count(facts.samples)}", hint="Samples with a non-zero activation"),
        stat("max", figures(facts.maximum) if facts.n else "–", hint="Largest activation"),
        stat("mean", figures(facts.mean) if facts.n else "–", hint="Mean over the firing samples"),
        stat("median", figures(facts.median) if facts.n else "–", hint="Median over the firing samples"),
    ]


def _layer_switch(layers: list[Layer]) -> list[html.Nav]:
    if len(layers) < 2:
        return []
    return [
        html.Nav(
            [
                html.Span(
                    [html.Span(layer.name), html.Span(layer.words, className="layer-words num")],
                    className="layer is-here",
                    title=layer.hook,
                    **{"aria-current": "page"},
                )
                if layer.is_here
                else dcc.Link(
                    [html.Span(layer.name), html.Span(layer.words, className="layer-words num")],
                    href=layer.href,
                    className="layer",
                    title=f"{layer.hook}: {layer.words}",
                )
                for layer in layers
            ],
            className="layers",
            **{"aria-label": "The same place in other layers"},
        )
    ]
