"""How the Explorer's table looks: its columns, the text of its cells and the words for its filters."""

from typing import Any

import numpy as np

from dashboard import urls
from dashboard.components.numbers import count, figures, percent
from dashboard.explorer_rows import BOX, NUMBER_TYPES, SEARCH, TEXT_TYPES, View, conditions_of
from loaders.store import Store

BLOCK_ROWS = 100
GRID_OPTIONS: dict[str, Any] = {
    "theme": {"function": "themeQuartz"},
    "cacheBlockSize": BLOCK_ROWS,
    "maxBlocksInCache": 20,
    "maxConcurrentDatasourceRequests": 1,
    "infiniteInitialRowCount": BLOCK_ROWS,
    "rowHeight": 30,
    "headerHeight": 34,
    "suppressMultiSort": False,
    "multiSortKey": "ctrl",
    "suppressDragLeaveHidesColumns": True,
    "suppressMovableColumns": True,
    "enableCellTextSelection": True,
    "tooltipShowDelay": 400,
    "animateRows": False,
    "suppressNoRowsOverlay": True,  # the page says it in its own words
}
CHOICE: dict[str, Any] = {
    "rowSelection": {
        "mode": "multiRow",
        "enableClickSelection": False,
        "headerCheckbox": False,
        "checkboxes": {"function": "params.data != null"},  # a row that is still coming cannot be chosen
    },
    "selectionColumnDef": {"pinned": "left", "width": 34, "minWidth": 34, "resizable": False},
}
"""What lets rows be chosen, for those who may label all of them."""
WORDS = {
    "feature_id": "feature",
    "label": "label",
    "tokens": "top token",
    "density": "density",
    "max": "max",
    "mean": "mean",
    "n": "samples",
    "median": "median / max",
    "flag": "flag",
    "status": "status",
}
_SIGNS = {
    "equals": "=",
    "notEqual": "≠",
    "lessThan": "<",
    "lessThanOrEqual": "≤",
    "greaterThan": ">",
    "greaterThanOrEqual": "≥",
    "contains": "contains",
    "notContains": "lacks",
    "startsWith": "starts with",
    "endsWith": "ends with",
    "blank": "is blank",
    "notBlank": "is not blank",
}


def column_defs() -> list[dict[str, Any]]:
    """ag-grid's column definitions; two hidden columns carry the quick search and the map's area."""
    columns = [
        _column("feature_id", "Feature", 68, "number", cellRenderer="FeatureLink", pinned="left"),
        _column("label", "Label", 140, "text", flex=4, cellRenderer="FeatureLabel", tooltipField="hint"),
        _column(
            "tokens", "Top tokens", 150, "text", "The strongest tokens by tf-idf over all activations", flex=5,
            cellRenderer="Tokens",
        ),
        _column("density", "Density", 98, "number", "Share of samples on which it fires, filtered in percent"),
        _column("max", "Max", 58, "number", "Largest activation"),
        _column("mean", "Mean", 64, "number", "Mean activation over the samples on which it fires"),
        _column("n", "n", 64, "number", "Samples on which it fires"),
        _column(
            "median", "Distribution", 112, "number",
            "Non-zero activations in 24 bins over [0, max]; sorts and filters by median / max", cellRenderer="Sparkline",
        ),
        _column("flag", "Flag", 68, "text", "dead: never fires; dense: fires on at least 10 % of samples", cellRenderer="Flag"),
        _column("status", "Status", 92, "text", cellRenderer="Status"),
    ]  # fmt: skip
    hidden = [{"field": name, "hide": True, "filter": "agTextColumnFilter"} for name in (SEARCH, BOX)]
    return columns + hidden


def initial_state(view: View) -> dict[str, Any]:
    """The view as ag-grid's initial state, so that the first rows it asks for are the right ones."""
    sort = [{"colId": column, "sort": "desc" if descending else "asc"} for column, descending in view.sort]
    return {
        "filter": {"filterModel": view.filters},
        "sort": {"sortModel": sort},
        "partialColumnState": True,  # everything else stays as the column definitions say
    }


def _column(field: str, title: str, width: int, kind: str, tooltip: str = "", **more: Any) -> dict[str, Any]:
    is_number = kind == "number"
    return {
        "field": field,
        "headerName": title,
        "headerTooltip": tooltip or None,
        "minWidth": width,
        "width": width,
        "resizable": True,
        "sortable": True,
        "sortingOrder": ["desc", "asc", None] if is_number and field != "feature_id" else ["asc", "desc", None],
        "filter": "agNumberColumnFilter" if is_number else "agTextColumnFilter",
        "filterParams": {
            "defaultOption": "contains"
            if not is_number
            else "equals"
            if field == "feature_id"
            else "greaterThanOrEqual",
            "filterOptions": list(NUMBER_TYPES if is_number else TEXT_TYPES),
            "inRangeInclusive": True,
            "buttons": ["reset"],
            "debounceMs": 350,
            "maxNumConditions": 4,
        },
        "cellDataType": False,
        "cellClass": "num cell-number" if is_number and "cellRenderer" not in more else "cell-text",
        "headerClass": "header-number" if is_number and "cellRenderer" not in more else "",
        **more,
    }


def row_of(row: dict[str, Any], store: Store, has_tokens: bool, may_edit: bool) -> dict[str, Any]:
    """One row as the grid's cells show it; `tokens` is None while their table is missing."""
    is_dead = row["n"] == 0
    return {
        "feature_id": str(row["feature_id"]),
        "href": urls.feature(store.id, row["feature_id"]),
        "edit": f"{store.id}/{row['feature_id']}" if may_edit else "",
        "label": row["label"],
        "hint": "\n\n".join(text for text in (row["label"], row["notes"]) if text),
        "tokens": row["tokens"] if has_tokens else None,
        "density": "0 %" if is_dead else f"{figures(row['density'])} %",
        "max": "–" if is_dead else figures(row["max"]),
        "mean": "–" if is_dead else figures(row["mean"]),
        "n": count(row["n"]),
        "median": None if np.isnan(row["median"]) else row["median"],
        "shape": "never fires" if is_dead else f"median is {percent(row['median'], 2)} of the maximum",
        "counts": row["counts"],
        "is_dead": is_dead,
        "flag": row["flag"],
        "status": row["status"],
    }


def describe(view: View) -> str:
    """The view's conditions in words: 'density > 1 %, label contains "date", area of the map'."""
    words = []
    for column, model in view.filters.items():
        if column == SEARCH:
            words.append(f"“{view.search}” in label or top token")
        elif column == BOX:
            words.append("area of the map")
        else:
            joint = " or " if model.get("operator") == "OR" else " and "
            words.append(joint.join(_condition(column, condition) for condition in conditions_of(model)))
    return ", ".join(words)


def _condition(column: str, condition: dict[str, Any]) -> str:
    kind, value, unit = condition["type"], condition.get("filter"), " %" if column == "density" else ""
    if kind in ("blank", "notBlank"):
        return f"{WORDS[column]} {_SIGNS[kind]}"
    if kind == "inRange":
        return f"{WORDS[column]} {value} to {condition.get('filterTo')}{unit}"
    shown = f"{value}{unit}" if isinstance(value, int | float) else f"“{value}”"
    return f"{WORDS[column]} {_SIGNS[kind]} {shown}"
