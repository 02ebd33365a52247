"""The Layers page's panels of a matched set, empty until the callbacks fill them."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from dashboard.components.blocks import panel
from dashboard.components.layers import pair_controls
from dashboard.components.training import graph

FLOW_HEIGHT, NULL_HEIGHT, TABLE_HEIGHT = 330, 190, 390


def match_panels(
    pairs: Sequence[tuple[str, str]], pair: str, options: list[dict[str, Any]], fate: str, row: str
) -> list[Any]:
    """Flow, pair and fate to choose, null, table and shared examples; `row` is the pair of features that the URL names."""
    return [
        dcc.Store(id="layers-row", data=row),
        dcc.Store(id="layers-href"),
        html.Div(
            [
                panel(
                    "Fates of features",
                    [
                        html.Div(graph("layers-flow", FLOW_HEIGHT), className="layers-flow"),
                        html.P(id="layers-dead", className="layers-words"),
                    ],
                    note="a band counts features of the layer that it touches · click one to list them",
                    min_height=FLOW_HEIGHT,
                    class_name="span-6",
                ),
                panel(
                    "Between two layers",
                    pair_controls(pairs, pair, options, fate),
                    min_height=FLOW_HEIGHT,
                    class_name="span-3",
                ),
                panel(
                    "Against chance",
                    [graph("layers-null", NULL_HEIGHT), html.P(id="layers-null-words", className="layers-words")],
                    note="solid: matched · dotted: permuted",
                    min_height=FLOW_HEIGHT,
                    class_name="span-3",
                ),
            ],
            className="grid is-even",
        ),
        html.Div(
            [
                panel(
                    html.Span(id="layers-table-title"),
                    html.Div(id="layers-table-body"),
                    note=html.Span(id="layers-table-note"),
                    min_height=TABLE_HEIGHT,
                    class_name="span-7",
                ),
                panel(
                    "Shared examples",
                    html.Div(
                        id="layers-comparison", className="layers-comparison", style={"maxHeight": f"{TABLE_HEIGHT}px"}
                    ),
                    note=html.Span(id="layers-comparison-note"),
                    min_height=TABLE_HEIGHT,
                    class_name="span-5",
                ),
            ],
            className="grid is-even",
        ),
    ]
