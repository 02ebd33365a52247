"""Parts of the Layers page: the list of fates, the table of matched features and their examples."""

from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.numbers import count
from dashboard.figures.theme import FATES

PAGE_ROWS = 50


def set_links(links: Sequence[tuple[str, str, bool]]) -> html.Nav:
    """Links (name, href, whether it is shown) to the sets of the workspace."""
    return html.Nav(
        [
            dcc.Link(name, href=href, className="layers-set is-current" if is_here else "layers-set")
            for name, href, is_here in links
        ],
        className="layers-sets",
        **{"aria-label": "Sets"},
    )


def fate_options(sources: dict[str, int], targets: dict[str, int], words: dict[str, str]) -> list[dict[str, Any]]:
    """Radio options, one for each fate: its counts on both sides and its definition."""
    return [
        {
            "value": fate,
            "label": html.Span(
                [
                    html.Span(
                        [
                            html.Span(className="layers-swatch", style={"background": FATES[fate]}),
                            html.Span(fate, className="layers-fate"),
                            html.Span(_counts(sources.get(fate), targets.get(fate)), className="num layers-counts"),
                        ],
                        className="layers-fate-head",
                    ),
                    html.Span(definition, className="layers-definition"),
                ],
                className="layers-fate-option",
            ),
        }
        for fate, definition in words.items()
    ]


def _counts(source: int | None, target: int | None) -> str:
    if source is None:
        return f"→ {count(target or 0)}"
    if target is None:
        return f"{count(source)} →"
    return f"{count(source)} → {count(target)}"


def pair_controls(pairs: Sequence[tuple[str, str]], pair: str, options: list[dict[str, Any]], fate: str) -> html.Div:
    """The pair of layers and, below it, the fates between them; both work with the keyboard."""
    return html.Div(
        [
            html.Div(
                [
                    html.Label("Layers compared", htmlFor="layers-pair"),
                    dbc.Select(
                        id="layers-pair",
                        options=[{"value": key, "label": words} for key, words in pairs],
                        value=pair,
                        size="sm",
                    ),
                ],
                className="field",
            ),
            html.Div(
                dbc.RadioItems(id="layers-fate", options=options, value=fate, className="layers-fates"),
                role="group",
                **{"aria-label": "Fate to list"},
            ),
        ],
        className="stack",
    )


def match_table(
    rows: list[dict[str, Any]], names: tuple[str, str], chosen: str | None, none: str, *, has_cosine: bool, height: int
) -> dag.AgGrid:
    """One row for each pair; the chosen one is marked. `names` are those of the earlier and the later layer;
    `none` is the sentence for a table without rows."""
    measures = [
        ("both", "Both", ",", "Samples on which both fire"),
        ("pearson", "Pearson", ".3f", "Correlation of the activations over all samples, zeros included"),
        ("jaccard", "Jaccard", ".3f", "Samples on which both fire / samples on which either fires"),
        (
            "sufficiency",
            "Suffic.",
            ".3f",
            "P(later | earlier): how often the later feature fires where the earlier one does",
        ),
        (
            "necessity",
            "Necess.",
            ".3f",
            "P(earlier | later): how often the earlier feature fires where the later one does",
        ),
    ]
    if has_cosine:
        measures.append(("cosine", "Cosine", ".3f", "Of the decoder rows; the layers share a basis"))
    columns: list[dict[str, Any]] = [
        {
            "field": side,
            "headerName": name,
            "cellRenderer": "MatchedFeature",
            "cellRendererParams": {"side": side},
            "sortable": True,
            "minWidth": 130,
            "flex": 3,
        }
        for side, name in zip(("source", "target"), names, strict=True)
    ]
    columns += [
        {
            "field": field,
            "headerName": title,
            "headerTooltip": hint,
            "type": "rightAligned",
            "cellClass": "ag-right-aligned-cell num",
            "valueFormatter": {"function": f"params.value === null ? '–' : d3.format('{form}')(params.value)"},
            "minWidth": max(22 + 7 * len(title), 64),
            "flex": 1,
        }
        for field, title, form, hint in measures
    ]
    return dag.AgGrid(
        id="layers-table",
        rowData=rows,
        columnDefs=columns,
        selectedRows={"ids": [chosen]} if chosen else {"ids": []},
        getRowId="params.data.id",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions={
            "animateRows": False,
            "suppressMovableColumns": True,
            "rowHeight": 28,
            "headerHeight": 30,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "pagination": len(rows) > PAGE_ROWS,
            "paginationPageSize": PAGE_ROWS,
            "paginationPageSizeSelector": False,
            "tooltipShowDelay": 400,
            "localeText": {"noRowsToShow": none},
        },
        className="compact-grid layers-grid",
        style={"height": f"{height}px", "width": "100%"},
    )


def comparison(sides: Sequence[Any]) -> html.Div:
    """Examples of one feature, or of two side by side over the same contexts; `assets/tokens.js` draws the texts."""
    parts = []
    for number, side in enumerate(sides):
        head = html.Div(
            [
                html.Span(className="layers-side-dot", style={"background": side.colour}),
                dcc.Link(f"{side.name} #{side.feature_id}", href=side.href, className="num"),
            ],
            className="layers-side-head",
        )
        texts = html.Div(id=f"layers-examples-{number}", **{"data-shown": ""})
        parts.append(html.Div([head, dcc.Store(id=f"layers-examples-data-{number}", data=side.data), texts]))
    mode = dcc.Store(id="layers-mode", data="snippet")
    return html.Div([mode, *parts], className="layers-pair" if len(sides) == 2 else "layers-pair is-alone")
