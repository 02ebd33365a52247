"""Parts of the Training page: the runs table, its controls and the comparison of configurations."""

from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import empty_state
from dashboard.figures.theme import CONFIG

FVU_WORDS = (
    "FVU: squared residuals over squared deviations from the held-out mean, on rows of documents that training never "
    "saw; 0 is a perfect reconstruction, 1 is no better than the mean. Explained = 1 − FVU. "
    "Dead: never fires on the harvested dataset."
)
RUNS_WIDTH = 880
"""Pixels that the runs share in the comparison of configurations, where so many are enough."""
ROW_HEIGHT, HEADER_HEIGHT = 28, 30
HEAD_HEIGHT = 46
"""Pixels of a chart's panel beside the chart."""
MOST_ROWS = 10
"""Runs that the table shows whole; of more it shows so many at once and scrolls."""
MOST_FIELDS = 12
"""Fields of the configurations that are shown at once."""
MOST_NAME = 320
"""Pixels that the longest name may ask for; the rest of it is in the tooltip."""
GRID_OPTIONS: dict[str, Any] = {
    "animateRows": False,
    "suppressCellFocus": False,
    "suppressMovableColumns": True,
    "rowHeight": ROW_HEIGHT,
    "headerHeight": HEADER_HEIGHT,
    "enableCellTextSelection": True,
    "ensureDomOrder": True,
}


def runs_height(runs: int) -> int:
    """Pixels that the table of so many runs takes."""
    return HEADER_HEIGHT + min(runs, MOST_ROWS) * ROW_HEIGHT


def runs_table(rows: list[dict[str, Any]], chosen: Sequence[str]) -> dag.AgGrid:
    """Every run, one row each; the ticked ones are drawn."""
    numeric = {"type": "rightAligned", "cellClass": "ag-right-aligned-cell num"}
    longest = max((len(row["id"]) for row in rows), default=0)
    columns = [
        {
            "field": "id",
            "headerName": "SAE",
            "tooltipField": "id",
            **_wide(min(max(150, 22 + 7 * longest), MOST_NAME)),
            "cellStyle": {"function": "({'borderLeft': '4px ' + params.data.line + ' ' + params.data.colour})"},
        },
        {
            "field": "status",
            "headerName": "Run",
            **_wide(86),
            "tooltipField": "error",
            "cellClassRules": {
                "is-good": "params.value === 'finished'",
                "is-live": "params.value === 'running'",
                "is-bad": "params.value === 'failed'",
                "is-quiet": "params.value === 'stopped'",
            },
        },
        {"field": "step", "headerName": "Steps", "sortable": False, **_wide(124), **numeric},
        _with_text("duration", "Time", numeric, 106),
        _with_text("fvu", "FVU, held out", numeric, 112, "Share of variance unexplained, on held-out rows"),
        _with_text("fvu", "Explained", numeric, 100, "1 − FVU", text="explained_text"),
        _with_text("l0", "L0, held out", numeric, 104, "Features that fire per held-out sample"),
        _with_text("dead", "Dead", numeric, 84, "Share of features that never fire on the harvested dataset"),
        _count("features", "Features", numeric, 95),
        _count("rows", "Held-out rows", numeric, 118),
    ]
    return dag.AgGrid(
        id="training-runs",
        rowData=rows,
        columnDefs=columns,
        selectedRows={"ids": list(chosen)},
        getRowId="params.data.id",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={
            **GRID_OPTIONS,
            "rowSelection": {"mode": "multiRow", "enableClickSelection": False},
            "domLayout": "autoHeight" if len(rows) <= MOST_ROWS else "normal",
            "alwaysShowVerticalScroll": len(rows) > MOST_ROWS,
            "tooltipShowDelay": 400,
        },
        className="compact-grid training-runs",
        style={
            "height": None if len(rows) <= MOST_ROWS else f"{runs_height(len(rows))}px",
            "width": "100%",
        },
    )


def _with_text(
    field: str, title: str, more: dict[str, Any], width: int, hint: str = "", text: str | None = None
) -> dict[str, Any]:
    """A column that sorts by a number and shows the text made for it."""
    return {
        "field": field,
        "colId": text or field,
        "headerName": title,
        "headerTooltip": hint,
        "valueFormatter": {"function": f"params.data.{text or field + '_text'}"},
        **_wide(width),
        **more,
    }


def _count(field: str, title: str, more: dict[str, Any], width: int) -> dict[str, Any]:
    formatter = {"function": "params.value === null ? '–' : d3.format(',')(params.value)"}
    return {"field": field, "headerName": title, "valueFormatter": formatter, **_wide(width), **more}


def _wide(width: int) -> dict[str, int]:
    """At least so many pixels, and a share of what is left in proportion."""
    return {"minWidth": width, "flex": width}


def controls(smoothing: float, axes: Sequence[str], x: str) -> html.Div:
    """Smoothing, logarithmic axes, and what runs along x."""
    return html.Div(
        [
            html.Div(
                [
                    html.Label("Smoothing", htmlFor="training-smoothing"),
                    dbc.Input(
                        id="training-smoothing",
                        type="range",
                        min=0,
                        max=0.99,
                        step=0.01,
                        value=smoothing,
                        debounce=0.25,
                    ),
                    html.Span(f"{smoothing:.2f}", id="training-smoothing-value", className="num"),
                ],
                className="training-smoothing",
                title="Weight of the moving average; the raw line stays faintly behind it",
            ),
            dbc.Checklist(
                id="training-log",
                options=[{"label": "log values", "value": "y"}, {"label": "log steps", "value": "x"}],
                value=list(axes),
                inline=True,
                switch=True,
            ),
            dbc.RadioItems(
                id="training-x",
                options=[{"label": "Steps", "value": "step"}, {"label": "Seconds", "value": "time"}],
                value=x,
                inline=True,
                className="segmented",
            ),
        ],
        className="training-controls",
        role="group",
        **{"aria-label": "How the curves are drawn"},
    )


BLANK: dict[str, Any] = {
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}


def graph(id: str, height: int) -> dcc.Graph:
    """A figure's place, blank and of its final height until the figure arrives by callback."""
    return dcc.Graph(id=id, config=CONFIG, style={"height": f"{height}px"}, figure={"layout": BLANK})


def slim_panel(
    title: str, body: Any, *, note: str = "", name: str = "", actions: Any = None, min_height: int, class_name: str
) -> html.Section:
    """A panel of few parts, for a page of many: with `name`, title and note are `<name>-title` and `<name>-note`."""
    ids = {"title": {"id": f"{name}-title"}, "note": {"id": f"{name}-note"}} if name else {"title": {}, "note": {}}
    head: list[Any] = [
        html.H2(title, className="panel-title", **ids["title"]),
        html.Div(note, className="panel-note", **ids["note"]),
    ]
    if actions is not None:
        head.append(html.Div(actions, className="panel-actions"))
    style = {"minHeight": f"{min_height}px"}
    return html.Section(
        [html.Header(head, className="panel-head"), html.Div(body, className="panel-body", style=style)],
        className=f"panel {class_name}",
    )


def curve_panel(name: str | dict[str, str], title: str, note: str, height: int, figure: Any = None) -> html.Section:
    """One chart of curves, `figure` or blank until it arrives by callback."""
    drawn = graph(f"training-curve-{name}" if isinstance(name, str) else name, height)  # type: ignore[arg-type]
    if figure is not None:
        drawn.figure = figure
    drawn.className = "panel-graph"
    head = html.Header(
        [html.H2(title, className="panel-title"), html.Div(note, className="panel-note")], className="panel-head"
    )
    style = {"minHeight": f"{height + HEAD_HEIGHT}px"}  # a figure takes no room before plotly is there
    return html.Section([head, drawn], className="panel span-4", style=style)


def more_metrics(height: int) -> html.Div:
    """Where metrics without a chart of their own are drawn, once asked for and one at a time."""
    choice = [
        html.Label("Metric", htmlFor="training-more-metric", className="panel-note"),
        dbc.Select(id="training-more-metric", options=[], size="sm"),
    ]
    chart = html.Section(
        [html.Header(choice, className="panel-head"), graph("training-curve-more", height)], className="panel"
    )
    return html.Div(
        [
            html.Button(
                "More metrics",
                id="training-more-button",
                type="button",
                className="button",
                **{"aria-expanded": "false", "aria-controls": "training-more-collapse"},
            ),
            dbc.Collapse(chart, id="training-more-collapse", is_open=False),
        ],
        id="training-more",
        className="training-more",
        hidden=True,
    )


def config_switch() -> dbc.Switch:
    """Shows the fields in which the runs agree as well."""
    return dbc.Switch(id="training-config-all", label="all fields", value=False, className="training-switch")


def config_table(names: Sequence[str], rows: Sequence[tuple[str, list[str], bool]]) -> Any:
    """Fields down, runs across; fields in which the runs differ are marked."""
    if not rows:
        return empty_state("Nothing differs", "The ticked runs have the same settings, or none is ticked.")
    columns: list[dict[str, Any]] = [{"field": "field", "headerName": "Field", "pinned": "left", "width": 220}]
    for position, name in enumerate(names):
        columns.append(
            {
                "field": f"run{position}",
                "headerName": name,
                "width": max(130, RUNS_WIDTH // len(names)),  # not flex: it hides the rows of a table that arrives late
                "tooltipField": f"run{position}",
            }
        )
    data = [
        {"field": field, "differs": differs, **{f"run{position}": value for position, value in enumerate(values)}}
        for field, values, differs in rows
    ]
    return dag.AgGrid(
        id="training-config-table",
        rowData=data,
        columnDefs=columns,
        defaultColDef={"sortable": False, "resizable": True, "suppressHeaderMenuButton": True},
        rowClassRules={"differs": "params.data.differs"},
        dashGridOptions={**GRID_OPTIONS, "tooltipShowDelay": 400},
        className="compact-grid",
        style={"height": f"{HEADER_HEIGHT + ROW_HEIGHT * min(len(data), MOST_FIELDS) + 2}px", "width": "100%"},
    )
