"""The Explorer's rows equal those of a slow reference that looks at one row and one condition at a time."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.explorer_grid import describe
from dashboard.explorer_rows import (
    COLUMNS,
    LISTS,
    NUMBER_TYPES,
    NUMBERS,
    TEXT_TYPES,
    Sort,
    View,
    matches,
    order,
    page,
    read_view,
    view_of_request,
)
from dashboard.urls import explorer, read_query
from loaders.errors import BadInput

WORDS = ("", "the", "The Date", "date", "++", "éa", "a")
VALUES = (0.0, 0.5, 1.0, 2.0, math.nan)


def make_frame(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(VALUES, rows) for name in NUMBERS})
    frame["feature_id"] = np.arange(rows)
    for name in ("label", "notes", "flag", "status"):
        frame[name] = rng.choice(WORDS, rows)
    frame["tokens"] = [[str(word) for word in rng.choice(WORDS[1:], rng.integers(0, 4))] for _ in range(rows)]
    frame["x"], frame["y"] = rng.normal(size=rows), rng.normal(size=rows)
    return frame


def slow_number(value: float, condition: dict[str, Any]) -> bool:
    kind, wanted = condition["type"], condition.get("filter")
    if kind in ("blank", "notBlank"):
        return math.isnan(value) == (kind == "blank")
    if kind == "notEqual":
        return value != wanted
    if math.isnan(value):
        return False
    if kind == "inRange":
        ends = sorted([wanted, condition["filterTo"]])
        return ends[0] <= value <= ends[1]
    signs = {
        "equals": value == wanted,
        "lessThan": value < wanted,
        "lessThanOrEqual": value <= wanted,
        "greaterThan": value > wanted,
        "greaterThanOrEqual": value >= wanted,
    }
    return bool(signs[kind])


def slow_text(text: str, condition: dict[str, Any]) -> bool:
    wanted, text = str(condition.get("filter", "")).casefold(), text.casefold()
    return {
        "contains": wanted in text,
        "equals": text == wanted,
        "startsWith": text[: len(wanted)] == wanted,
        "endsWith": text.endswith(wanted),
        "blank": text == "",
    }[condition["type"]]


def slow_condition(row: pd.Series, column: str, condition: dict[str, Any]) -> bool:
    if column in NUMBERS:
        return slow_number(float(row[column]), condition)
    kind = condition["type"]
    opposite = {"notContains": "contains", "notEqual": "equals", "notBlank": "blank"}.get(kind)
    if opposite:
        return not slow_condition(row, column, {**condition, "type": opposite})
    if column in LISTS:
        return any(slow_text(token, condition) for token in (row[column] or [""]))
    return slow_text(row[column], condition)


def slow_matches(frame: pd.DataFrame, filters: dict[str, Any]) -> list[bool]:
    kept = []
    for _, row in frame.iterrows():
        passes = True
        for column, model in filters.items():
            if "operator" in model:
                results = [slow_condition(row, column, one) for one in model["conditions"]]
                passes = passes and (any(results) if model["operator"] == "OR" else all(results))
            else:
                passes = passes and slow_condition(row, column, model)
        kept.append(passes)
    return kept


def conditions(column: str) -> st.SearchStrategy[dict[str, Any]]:
    if column in NUMBERS:
        value = st.sampled_from(VALUES[:-1])
        shape = {"type": st.sampled_from(NUMBER_TYPES), "filter": value, "filterTo": value}
    else:
        shape = {"type": st.sampled_from(TEXT_TYPES), "filter": st.sampled_from(WORDS[1:])}
    return st.fixed_dictionaries(shape)


@st.composite
def filter_models(draw: st.DrawFn) -> dict[str, Any]:
    model: dict[str, Any] = {}
    for column in draw(st.lists(st.sampled_from(COLUMNS), max_size=3, unique=True)):
        several = draw(st.lists(conditions(column), min_size=1, max_size=3))
        operator = draw(st.sampled_from(["AND", "OR"]))
        model[column] = several[0] if len(several) == 1 else {"operator": operator, "conditions": several}
    return model


@given(filters=filter_models())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_filter_keeps_the_rows_that_the_slow_reference_keeps(filters: dict[str, Any]) -> None:
    frame = make_frame()
    view = view_of_request({"filterModel": filters, "sortModel": []})
    assert matches(frame, view).tolist() == slow_matches(frame, filters)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("descending", [False, True])
def test_every_column_sorts_with_blanks_last_and_ties_in_row_order(column: str, descending: bool) -> None:
    frame = make_frame()

    def value(position: int) -> Any:
        cell = frame[column].iloc[position]
        return " ".join(cell).casefold() if column in LISTS else cell.casefold() if isinstance(cell, str) else cell

    blank = [p for p in range(len(frame)) if value(p) == "" or value(p) != value(p)]
    filled = [p for p in range(len(frame)) if p not in blank]
    # sorted() is stable, and so is its reverse: rows with equal values stay in their order
    expected = sorted(filled, key=value, reverse=descending) + blank
    assert order(frame, (Sort(column, descending),)).tolist() == expected


def test_a_second_sort_breaks_the_ties_of_the_first() -> None:
    frame = make_frame()
    got = frame.iloc[order(frame, (Sort("n", True), Sort("max", False)))][["n", "max"]]
    expected = frame[["n", "max"]].sort_values(["n", "max"], ascending=[False, True], na_position="last")
    pd.testing.assert_frame_equal(got.reset_index(drop=True), expected.reset_index(drop=True))


def test_pages_join_to_the_whole_view_without_gaps_or_repeats() -> None:
    frame = make_frame()
    view = View((Sort("density", True),), {"n": {"type": "greaterThan", "filter": 0.1}})
    whole, kept = page(frame, view, 0, len(frame))
    parts = pd.concat([page(frame, view, start, start + 7)[0] for start in range(0, len(frame), 7)])
    assert len(whole) == int(kept.sum()) and 0 < len(whole) < len(frame)
    assert parts["feature_id"].tolist() == whole["feature_id"].tolist()


def test_the_quick_search_looks_into_labels_notes_and_top_tokens() -> None:
    frame = make_frame()
    kept = matches(frame, read_view({"q": "DATE"}))
    for position, row in frame.iterrows():
        texts = [row["label"], row["notes"], *row["tokens"]]
        assert kept[position] == any("date" in text.casefold() for text in texts)


def test_an_area_of_the_map_keeps_the_features_inside_of_it() -> None:
    frame = make_frame()
    kept = matches(frame, read_view({"box": "1,-0.5,-1,0.25"}))
    inside = frame["x"].between(-0.5, 1) & frame["y"].between(-1, 0.25)
    assert kept.tolist() == inside.tolist() and 0 < kept.sum() < len(frame)


def test_a_view_is_restored_from_its_address() -> None:
    filters = {
        "density": {"filterType": "number", "type": "inRange", "filter": 0.1, "filterTo": 2},
        "label": {"operator": "OR", "conditions": [{"type": "contains", "filter": "é & ü"}, {"type": "blank"}]},
    }
    box, text = (
        {"filterType": "text", "type": "contains", "filter": "-1.5,2,0,1"},
        {"type": "contains", "filter": "a+b"},
    )
    view = View(
        (Sort("max", True), Sort("n", False)), {**filters, "search": {"filterType": "text", **text}, "box": box}
    )
    link = explorer("minilm-l1@docs", **view.to_query())
    assert read_view(read_query(link.partition("?")[2])) == view


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"filter": '{"density":'}, "cut off or altered"),
        ({"filter": "[1]"}, "not a filter by column"),
        ({"filter": '{"colour":{"type":"equals","filter":1}}'}, "no column 'colour'"),
        ({"filter": '{"density":{"type":"contains","filter":"1"}}'}, "cannot be filtered by 'contains'"),
        ({"filter": '{"density":{"type":"equals","filter":"much"}}'}, "needs a value: found 'much'"),
        ({"filter": '{"density":{"type":"inRange","filter":1}}'}, "needs a value: found 'None'"),
        ({"filter": '{"density":7}'}, "found '7'"),
        ({"sort": "colour:asc"}, "no column 'colour'"),
        ({"box": "1,2,3"}, "x0,x1,y0,y1"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_in_one_sentence(query: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words.replace("(", r"\(")):
        read_view(query)


def test_filters_are_described_in_words() -> None:
    filters = {
        "density": {"type": "inRange", "filter": 0.1, "filterTo": 2},
        "label": {"operator": "OR", "conditions": [{"type": "contains", "filter": "date"}, {"type": "blank"}]},
        "search": {"type": "contains", "filter": "++"},
        "box": {"type": "contains", "filter": "0,1,0,1"},
    }
    assert describe(View((), filters)) == (
        "density 0.1 to 2 %, label contains “date” or label is blank, “++” in label or top token, area of the map"
    )
