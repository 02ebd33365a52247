"""The table of an SAE's labels: searched, ordered and served in blocks by the catalog, with what people think of them."""

from typing import Any

import dash_ag_grid as dag
import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.comments import comment_counts
from catalog.label_text import ORIGINS
from catalog.labels import Label, find_labels, words_used
from catalog.votes import scores_of
from dashboard import urls
from dashboard.access.visitor import may
from dashboard.components import count, empty_state, panel, percent, plural
from dashboard.components.bulk import bulk_bar
from dashboard.components.label_words import when_words
from dashboard.context import catalog, workspace
from dashboard.explorer_grid import BLOCK_ROWS, CHOICE, GRID_OPTIONS
from dashboard.labels_view import FILTERS, View
from loaders.store import Store

ANY = "*"
"""A filter's value for everything; a word is asked for as `=word`."""


def body(store: Store, view: View) -> list[Any]:
    """Filters and the table."""
    choices = {field: words_used(catalog(), store.sae_fingerprint, field) for field in ("category", "author")}
    filters = [
        html.Label("Name or notes", htmlFor="labels-q", className="visually-hidden"),
        dcc.Input(
            id="labels-q",
            type="search",
            value=view.q,
            debounce=0.3,
            placeholder="Name or notes",
            className="form-control",
        ),
        *_choice("category", "any category", choices["category"], view.category),
        *_choice("author", "anybody", choices["author"], view.author),
        *_choice("origin", "any origin", list(ORIGINS), view.origin),
    ]
    grid = dag.AgGrid(
        id="labels-grid",
        columnDefs=_columns(),
        rowModelType="infinite",
        getRowId="params.data.feature_id",
        dashGridOptions={**GRID_OPTIONS, **(CHOICE if may("labeller") else {})},
        className="explorer-grid labels-grid",
        style={"height": None},
    )
    none = html.Div(
        empty_state(
            "No label is here",
            "Nobody has named such a feature yet."
            + (" Take one from the queue, or press e on a feature's page." if may("labeller") else ""),
            icon_name="tags",
        ),
        id="labels-none",
        hidden=True,
    )
    return [
        dcc.Store(id="labels-href"),
        panel(
            "All labels",
            [bulk_bar(), grid, none],
            note=html.Span(id="labels-count", role="status"),
            actions=filters,
            class_name="is-flush explorer-table labels-table",
        ),
    ]


def _choice(field: str, everything: str, words: list[str], chosen: str) -> list[Any]:
    """A filter; what an address asks for can be chosen even where no label has it any more."""
    known = [*words, *([chosen] if chosen and chosen not in words else [])]
    options = [{"value": ANY, "label": everything}, *({"value": f"={word}", "label": word} for word in known)]
    return [
        html.Label(field.capitalize(), htmlFor=f"labels-{field}", className="visually-hidden"),
        dbc.Select(id=f"labels-{field}", options=options, value=f"={chosen}" if chosen else ANY, size="sm"),
    ]


def _columns() -> list[dict[str, Any]]:
    return [
        _column("feature", "Feature", 74, cellRenderer="FeatureLink", pinned="left"),
        _column("name", "Name", 180, flex=4, cellRenderer="FeatureLabel", tooltipField="hint"),
        _column("category", "Category", 110, flex=1),
        _column("confidence", "Sure", 66, cellClass="num cell-number", headerTooltip="How sure its author is"),
        _column("votes", "Votes", 64, sortable=False, cellClass="num cell-number", headerTooltip="Votes for minus against"),
        _column("comments", "Comments", 86, sortable=False, cellClass="num cell-number"),
        _column("origin", "Origin", 96, sortable=False, tooltipField="origin_hint"),
        _column("author", "By", 110),
        _column("saved", "Saved", 172, sort="desc", cellClass="num cell-text"),
        _column("version", "Version", 74, sortable=False, cellClass="num cell-number"),
    ]  # fmt: skip


def _column(field: str, title: str, width: int, **more: Any) -> dict[str, Any]:
    usual = {"sortable": True, "resizable": True, "cellClass": "cell-text", "sortingOrder": ["desc", "asc", None]}
    return {"field": field, "headerName": title, "minWidth": width, "width": width, **usual, **more}


def row_of(label: Label, store: Store, score: int | None, comments: int) -> dict[str, Any]:
    """One label as the table's cells show it."""
    origin = label.origin
    source = f"feature {origin.feature}, score {origin.score:.3f}" if origin.score is not None else ""
    return {
        "feature_id": str(label.feature_id),
        "href": urls.feature(store.id, label.feature_id),
        "edit": f"{store.id}/{label.feature_id}" if may("labeller") else "",
        "name": label.name,
        "label": label.name,
        "hint": "\n\n".join(text for text in (label.name, label.notes) if text),
        "category": label.category,
        "confidence": "" if label.confidence is None else percent(label.confidence, 2),
        "votes": "" if score is None else f"{score:+d}",
        "comments": count(comments) if comments else "",
        "origin": "" if origin.kind == "typed" else origin.kind,
        "origin_hint": " · ".join(text for text in (origin.detail or "", source) if text),
        "author": label.author,
        "saved": when_words(label.created_at),
        "version": count(label.version),
    }


def _asked(value: str | None) -> str:
    """The word of a filter, "" for everything."""
    return str(value or ANY)[1:]


def register() -> None:
    """Add the table's callbacks; called by the page, once per app."""

    @callback(
        Output("labels-grid", "getRowsResponse"),
        Output("labels-count", "children"),
        Output("labels-none", "hidden"),
        Output("labels-href", "data"),
        Input("labels-grid", "getRowsRequest"),
        *[State(f"labels-{field}", "value") for field in FILTERS],
        State("labels-place", "data"),
        prevent_initial_call=True,
    )
    def serve_rows(request: dict[str, Any] | None, q: Any, category: Any, by: Any, origin: Any, place: Any) -> Any:
        """Answer the grid's request for a block of rows."""
        if request is None:
            return (no_update,) * 4
        store = workspace().open_store(place["store"])
        order = (request.get("sortModel") or [{"colId": "saved", "sort": "desc"}])[0]
        view = View("labels", str(q or "").strip(), *(_asked(value) for value in (category, by, origin)))
        found = find_labels(
            catalog(),
            store.sae_fingerprint,
            text=view.q,
            category=view.category or None,
            author=view.author or None,
            origin=view.origin or None,
            order_by=str(order["colId"]),
            descending=order.get("sort") == "desc",
            limit=min(max(int(request["endRow"]) - int(request["startRow"]), 1), 10 * BLOCK_ROWS),
            offset=max(int(request["startRow"]), 0),
        )
        scores = scores_of(catalog(), store.sae_fingerprint)
        comments = comment_counts(catalog(), store.sae_fingerprint)
        rows = [
            row_of(label, store, scores.get(label.feature_id), comments.get(label.feature_id, 0))
            for label in found.labels
        ]
        words = plural(found.total, "label") + ("" if view == View() else " found")
        response = {"rowData": rows, "rowCount": found.total}
        return response, words, found.total > 0, urls.labels(store.id, **view.query())

    clientside_callback(
        ClientsideFunction("loupe", "writeUrl"),
        Output("shell-url-written", "data", allow_duplicate=True),
        Input("labels-href", "data"),
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("labelling", "purge"),
        Output("labels-none", "data-asked"),
        *[Input(f"labels-{field}", "value") for field in FILTERS],
        prevent_initial_call=True,
    )
    clientside_callback(
        ClientsideFunction("labelling", "choose"),
        Output("bulk-selected", "data", allow_duplicate=True),
        Input("labels-grid", "selectedRows"),
        prevent_initial_call=True,
    )
