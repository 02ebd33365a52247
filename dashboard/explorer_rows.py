"""The Explorer's table, answered on the server: which features a view keeps, in which order, one page at a time.

Pure over a frame (see `explorer_frame.py`): number columns hold floats, text columns strings, list columns lists of
strings. Conditions are ag-grid's filter models, simple or compound.
"""

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from loaders.errors import BadInput

NUMBERS = ("feature_id", "density", "max", "mean", "n", "median")
TEXTS = ("label", "flag", "status")
LISTS = ("tokens",)
SEARCH, BOX = "search", "box"  # conditions without a column of their own: the search box and the area on the map
COLUMNS = (*NUMBERS, *TEXTS, *LISTS)
Mask = np.ndarray  # bool [rows]
Condition = dict[str, Any]

_NUMBER_TESTS: dict[str, Callable[[np.ndarray, float, float], Mask]] = {
    "equals": lambda v, a, b: v == a,
    "notEqual": lambda v, a, b: v != a,
    "lessThan": lambda v, a, b: v < a,
    "lessThanOrEqual": lambda v, a, b: v <= a,
    "greaterThan": lambda v, a, b: v > a,
    "greaterThanOrEqual": lambda v, a, b: v >= a,
    "inRange": lambda v, a, b: (v >= min(a, b)) & (v <= max(a, b)),
    "blank": lambda v, a, b: np.isnan(v),
    "notBlank": lambda v, a, b: ~np.isnan(v),
}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, wanted: wanted in text,
    "equals": lambda text, wanted: text == wanted,
    "startsWith": lambda text, wanted: text.startswith(wanted),
    "endsWith": lambda text, wanted: text.endswith(wanted),
    "blank": lambda text, wanted: not text,
}
_NEGATED = {"notContains": "contains", "notEqual": "equals", "notBlank": "blank"}
NUMBER_TYPES = tuple(_NUMBER_TESTS)
TEXT_TYPES = (*_TEXT_TESTS, *_NEGATED)


class Sort(NamedTuple):
    """Order by one column; the first of several decides, later ones break its ties."""

    column: str
    descending: bool


class View(NamedTuple):
    """What a visitor looks at: everything that the Explorer keeps in its address."""

    sort: tuple[Sort, ...] = ()
    filters: dict[str, Condition] = {}

    @property
    def search(self) -> str:
        """The quick search's text, "" without one."""
        return str(self.filters.get(SEARCH, {}).get("filter", ""))

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """The area on the map as (x0, x1, y0, y1), or None."""
        return parse_box(self.filters[BOX]["filter"]) if BOX in self.filters else None

    def to_query(self) -> dict[str, str | None]:
        """The parameters of `urls.explorer` that restore this view."""
        columns = {key: model for key, model in self.filters.items() if key not in (SEARCH, BOX)}
        return {
            "q": self.search or None,
            "sort": ",".join(f"{s.column}:{'desc' if s.descending else 'asc'}" for s in self.sort) or None,
            "filter": json.dumps(columns, separators=(",", ":"), ensure_ascii=False) if columns else None,
            "box": str(self.filters[BOX]["filter"]) if BOX in self.filters else None,
        }


def search_filter(text: str) -> dict[str, Condition]:
    """The filter model of a quick search, empty for no text."""
    text = text.strip()
    return {SEARCH: {"filterType": "text", "type": "contains", "filter": text}} if text else {}


def box_filter(box: str | None) -> dict[str, Condition]:
    """The filter model of an area on the map written as `x0,x1,y0,y1`."""
    return {BOX: {"filterType": "text", "type": "contains", "filter": box}} if box else {}


def read_view(query: dict[str, str]) -> View:
    """The view that an address asks for; raises BadInput for one that cannot be read."""
    filters: dict[str, Condition] = {}
    if query.get("filter"):
        try:
            given = json.loads(query["filter"])
        except ValueError as error:
            raise BadInput("The filter in this address is cut off or altered. Copy the whole address again.") from error
        if not isinstance(given, dict):
            raise BadInput("The filter in this address is not a filter by column. Copy the whole address again.")
        filters.update(given)
    filters.update(search_filter(query.get("q", "")))
    filters.update(box_filter(query.get("box")))
    sort = [part.partition(":") for part in query.get("sort", "").split(",") if part]
    view = View(tuple(Sort(column, order == "desc") for column, _, order in sort), filters)
    _check(view)
    return view


def view_of_request(request: dict[str, Any]) -> View:
    """The view that ag-grid asks rows for; raises BadInput for a column or condition that does not exist."""
    sort = tuple(Sort(str(item["colId"]), item.get("sort") == "desc") for item in request.get("sortModel") or [])
    view = View(sort, dict(request.get("filterModel") or {}))
    _check(view)
    return view


def _check(view: View) -> None:
    for column, _ in view.sort:
        if column not in COLUMNS:
            raise BadInput(f"The Explorer has no column '{column}' to sort by; it has {', '.join(COLUMNS)}.")
    for column, model in view.filters.items():
        if column not in (*COLUMNS, SEARCH, BOX):
            raise BadInput(f"The Explorer has no column '{column}' to filter; it has {', '.join(COLUMNS)}.")
        for condition in conditions_of(model):
            _check_condition(column, condition)
    if BOX in view.filters:
        parse_box(view.filters[BOX].get("filter"))


def _check_condition(column: str, condition: Any) -> None:
    kind = condition.get("type") if isinstance(condition, dict) else None
    if kind not in (NUMBER_TYPES if column in NUMBERS else TEXT_TYPES):
        raise BadInput(f"Column '{column}' cannot be filtered by '{kind}'.")
    if kind in ("blank", "notBlank"):
        return
    values = [condition.get("filter")] + ([condition.get("filterTo")] if kind == "inRange" else [])
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if (column in NUMBERS and not is_number) or value is None:
            raise BadInput(f"The filter on '{column}' needs a value: found '{value}'.")


def parse_box(text: Any) -> tuple[float, float, float, float]:
    """`x0,x1,y0,y1` as four floats, each pair ascending; raises BadInput."""
    try:
        x0, x1, y0, y1 = (float(part) for part in str(text).split(","))
    except ValueError as error:
        raise BadInput(f"An area of the map is x0,x1,y0,y1: found '{text}'.") from error
    return min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)


def conditions_of(model: Condition) -> list[Condition]:
    """The one or several conditions of a filter model (older grids name two `condition1` and `condition2`)."""
    if not isinstance(model, dict):
        raise BadInput(f"A filter is an object with a type and a value: found '{model}'.")
    if "operator" not in model:
        return [model]
    given = model.get("conditions") or [model.get("condition1"), model.get("condition2")]
    return [condition for condition in given if condition]


def matches(frame: pd.DataFrame, view: View) -> Mask:
    """Which rows of the frame a view keeps, bool [rows]."""
    kept = np.ones(len(frame), dtype=bool)
    for column, model in view.filters.items():
        if column == SEARCH:
            kept &= _searched(frame, str(model["filter"]))
        elif column == BOX:
            kept &= _inside(frame, parse_box(model["filter"]))
        else:
            masks = [_test(frame, column, condition) for condition in conditions_of(model)]
            combine = np.logical_or if model.get("operator") == "OR" else np.logical_and
            kept &= combine.reduce(masks) if masks else True
    return kept


def _test(frame: pd.DataFrame, column: str, condition: Condition) -> Mask:
    kind = str(condition["type"])
    if column in NUMBERS:
        a, b = condition.get("filter"), condition.get("filterTo")
        values = frame[column].to_numpy(dtype=np.float64)
        return _NUMBER_TESTS[kind](values, float(a or 0), float(b or 0))
    positive = _NEGATED.get(kind, kind)
    test, wanted = _TEXT_TESTS[positive], str(condition.get("filter") or "").casefold()
    if column in LISTS:  # a list passes when any of its strings does; an empty list is blank
        cells = ([text.casefold() for text in cell] or [""] for cell in frame[column])
        found = np.fromiter((any(test(text, wanted) for text in cell) for cell in cells), bool, len(frame))
    else:
        found = np.fromiter((test(text.casefold(), wanted) for text in frame[column]), bool, len(frame))
    return found if kind == positive else ~found


def _searched(frame: pd.DataFrame, text: str) -> Mask:
    wanted = text.casefold()
    in_label = np.fromiter(
        (
            wanted in label.casefold() or wanted in notes.casefold()
            for label, notes in zip(frame["label"], frame["notes"], strict=True)
        ),
        bool,
        len(frame),
    )
    in_tokens = np.fromiter(
        (any(wanted in token.casefold() for token in tokens) for tokens in frame["tokens"]), bool, len(frame)
    )
    return in_label | in_tokens


def _inside(frame: pd.DataFrame, box: tuple[float, float, float, float]) -> Mask:
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    return (x >= box[0]) & (x <= box[1]) & (y >= box[2]) & (y <= box[3])


def order(frame: pd.DataFrame, sort: tuple[Sort, ...]) -> np.ndarray:
    """Row positions in the wanted order, i64 [rows]: stable, ties by row, blanks last in either direction."""
    positions = np.arange(len(frame))
    for column, descending in reversed(sort):
        keys = _keys(frame[column], column)[positions]
        ranks = np.argsort(np.where(np.isnan(keys), np.inf, -keys if descending else keys), kind="stable")
        positions = positions[ranks]
    return positions


def _keys(column: pd.Series, name: str) -> np.ndarray:
    """Numbers that order like the column's values; NaN for a blank."""
    if name in NUMBERS:
        return column.to_numpy(dtype=np.float64)
    texts = [(" ".join(cell) if name in LISTS else cell).casefold() for cell in column]
    codes = np.unique(np.array(texts, dtype=object), return_inverse=True)[1].astype(np.float64)
    return np.where([not text for text in texts], np.nan, codes)


def page(frame: pd.DataFrame, view: View, start: int, stop: int) -> tuple[pd.DataFrame, Mask]:
    """Rows `start` to `stop` of the view, and which rows of the whole frame the view keeps."""
    kept = matches(frame, view)
    ordered = order(frame, view.sort)
    return frame.iloc[ordered[kept[ordered]][start:stop]], kept
