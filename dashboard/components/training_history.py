"""Parts of the time machine: its controls over the snapshots of a run, and the tables of features beside them."""

from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import empty_state, icon, panel
from dashboard.components.training import GRID_OPTIONS, HEADER_HEIGHT, ROW_HEIGHT, graph, slim_panel

FIGURE_HEIGHT = 232
TABLE_HEIGHT, LEDGER_HEIGHT = (HEADER_HEIGHT + rows * ROW_HEIGHT for rows in (8, 9))  # whole rows
PLAY_MS = 900
HISTORY_WORDS = (
    "Snapshots are taken at steps 1, 2, 5, 10, 20, 50, ... and at the last one. A density is the share of the held-out "
    "rows on which a feature fires at that step; a direction is its unit decoder row."
)
LEDGER_WORDS = (
    "Dead, as the trainer counts it: did not fire in the last {dead_after} training steps before the snapshot. "
    "Newly dead and revived compare with the snapshot before; what died and came back between two snapshots is not seen."
)
NUMERIC = {"type": "rightAligned", "cellClass": "ag-right-aligned-cell num"}


def controls(runs: Sequence[str], run: str, steps: Sequence[int], step: int, feature: int, features: int) -> html.Div:
    """Which run, which of its snapshots, and which feature is followed."""
    return html.Div(
        [
            html.Div(
                [
                    html.Label("Run", htmlFor="training-history-run"),
                    dbc.Select(id="training-history-run", options=list(runs), value=run, size="sm"),
                ],
                className="training-field",
            ),
            html.Div(
                [
                    html.Label("Step", htmlFor="training-step"),
                    _button("training-play", "Play the snapshots", "play", None),
                    html.Div(
                        [
                            dbc.Input(
                                id="training-step",
                                type="range",
                                min=0,
                                max=len(steps) - 1,
                                step=1,
                                value=list(steps).index(step),
                                debounce=0.15,
                            ),
                            html.Div(id="training-step-marks", className="num", **{"aria-hidden": "true"}),
                        ],
                        className="training-slider",
                    ),
                    html.Output(id="training-step-words", className="num", htmlFor="training-step"),
                ],
                className="training-field training-steps",
            ),
            html.Div(
                [
                    html.Label("Feature", htmlFor="training-feature"),
                    _button("training-previous", "Previous feature (p)", "previous", "p"),
                    dbc.Input(
                        id="training-feature",
                        type="number",
                        min=0,
                        max=features - 1,
                        step=1,
                        value=feature,
                        debounce=True,
                        size="sm",
                    ),
                    _button("training-next", "Next feature (n)", "next", "n"),
                ],
                className="training-field",
            ),
        ],
        className="training-history-controls",
        role="group",
        **{"aria-label": "Snapshot and feature"},
    )


def _button(id: str, words: str, icon_name: str, key: str | None) -> html.Button:
    marked = {"data-key": key} if key else {}
    return html.Button(
        icon(icon_name), id=id, type="button", className="icon-button", title=words, **{"aria-label": words, **marked}
    )


def body() -> list[Any]:
    """Every panel of the time machine, empty and of its final height."""
    rows = [
        [
            slim_panel(
                "Densities",
                graph("training-then", FIGURE_HEIGHT),
                name="training-then",
                min_height=FIGURE_HEIGHT,
                class_name="span-4",
            ),
            slim_panel(
                "Feature",
                [graph("training-direction", FIGURE_HEIGHT), graph("training-density", FIGURE_HEIGHT)],
                name="training-way",
                min_height=FIGURE_HEIGHT,
                class_name="span-8 training-pair",
            ),
        ],
        [
            slim_panel(
                "Nearest features",
                _table("training-nearest", nearest_columns()),
                note="cosine of decoder directions, exact over all features",
                name="training-nearest",
                min_height=TABLE_HEIGHT,
                class_name="span-5",
            ),
            slim_panel(
                "Moved most",
                _table("training-moved", moved_columns()),
                name="training-moved",
                actions=_choice(
                    "training-moved-to",
                    {"previous": "since the snapshot before", "final": "until the last"},
                    "Moved from when to when",
                ),
                min_height=TABLE_HEIGHT,
                class_name="span-7",
            ),
        ],
        [
            slim_panel(
                "Dead-feature ledger",
                [
                    _table("training-ledger", ledger_columns(), LEDGER_HEIGHT),
                    html.P(id="training-ledger-words", className="training-words muted"),
                ],
                note="a step shows it above",
                min_height=LEDGER_HEIGHT + 60,
                class_name="span-7",
            ),
            slim_panel(
                "Which ones",
                _table("training-died", died_columns(), LEDGER_HEIGHT),
                name="training-died",
                actions=_choice(
                    "training-died-kind",
                    {"dead": "dead", "newly": "newly dead", "revived": "revived"},
                    "Which features to list",
                ),
                min_height=LEDGER_HEIGHT + 60,
                class_name="span-5",
            ),
        ],
    ]
    return [
        *[html.Div(row, className="grid is-even") for row in rows],
        dcc.Interval(id="training-play-clock", interval=PLAY_MS, disabled=True),
    ]


def nothing() -> html.Section:
    """The time machine of a workspace without a snapshot."""
    words = ["They are kept while ", html.Code("loupe train"), " works; SAEs brought from elsewhere have none."]
    return panel("Time machine", empty_state("No run has snapshots yet", words, icon_name="graph-up"), min_height=160)


def _choice(id: str, options: dict[str, str], words: str) -> html.Div:
    """Radio buttons drawn as one control, the first one chosen."""
    items = [{"label": label, "value": key} for key, label in options.items()]
    return html.Div(
        dbc.RadioItems(id=id, options=items, value=items[0]["value"], inline=True, className="segmented"),
        role="group",
        **{"aria-label": words},
    )


def _table(id: str, columns: list[dict[str, Any]], height: int = TABLE_HEIGHT) -> dag.AgGrid:
    return dag.AgGrid(
        id=id,
        rowData=[],
        columnDefs=columns,
        getRowId="params.data.id",
        rowClassRules={"is-now": "params.data.is_now"},
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={**GRID_OPTIONS, "suppressNoRowsOverlay": True},
        className="compact-grid",
        style={"height": f"{height}px", "width": "100%"},
    )


def _feature_column() -> dict[str, Any]:
    return {"field": "feature", "headerName": "Feature", "cellRenderer": "SnapshotFeature", "minWidth": 120, "flex": 2}


def _number(field: str, title: str, hint: str = "") -> dict[str, Any]:
    """A number that sorts as one and is shown by the text made for it."""
    return {
        "field": field,
        "headerName": title,
        "headerTooltip": hint,
        "valueFormatter": {"function": f"params.data.{field}_text"},
        "minWidth": max(84, 22 + 7 * len(title)),
        "flex": 1,
        **NUMERIC,
    }


def nearest_columns() -> list[dict[str, Any]]:
    return [
        _feature_column(),
        _number("cosine", "Cosine then"),
        _number("last", "Cosine at the end", "Between the same two features, at the last snapshot"),
    ]


def moved_columns() -> list[dict[str, Any]]:
    return [
        _feature_column(),
        _number("cosine", "Cosine", "Between the decoder directions before and after"),
        _number("before", "Density before"),
        _number("after", "Density after"),
    ]


def ledger_columns() -> list[dict[str, Any]]:
    return [
        {"field": "step", "headerName": "Step", "cellRenderer": "SnapshotStep", "minWidth": 90, "flex": 1, **NUMERIC},
        _number("fvu", "FVU", "On the held-out rows of the snapshot"),
        _number("dead", "Dead"),
        _number("newly", "Newly dead"),
        _number("revived", "Revived"),
        _number("silent", "Silent", "Features that fire on none of the held-out rows"),
    ]


def died_columns() -> list[dict[str, Any]]:
    return [_feature_column(), _number("fired", "Last fired at step"), _number("density", "Density")]
