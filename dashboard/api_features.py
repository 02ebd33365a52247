"""Features over HTTP: the sorted table of a store, and everything about one feature."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

from flask import Response

from catalog.labels import get_label, labels_of
from dashboard.api_json import answer, answer_list, label, read_feature_id, records
from dashboard.api_label_edit import LABEL
from dashboard.api_route import FEATURE, JSON, OFFSET, STORE, Parameter, Route, limit
from dashboard.api_schema import FLAG, NUMBER, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import catalog, workspace
from dashboard.density import DENSE
from loaders.errors import BadInput, TableMissing
from loaders.schema import NEIGHBOURS, STATS
from loaders.store import Store

TOP_TOKENS = 20
LIMIT = limit(100, 1_000)


def _read_sort(text: str) -> str:
    column = text.removeprefix("-")
    if column not in STATS.names:
        raise BadInput(
            f"'sort' must be one of {', '.join(STATS.names)}, with '-' for descending: found '{column[:40]}'."
        )
    return text


SORT = Parameter(
    "sort",
    "A statistic; with '-' before it descending. Ties by feature_id.",
    {"type": "string", "enum": [sign + name for name in STATS.names for sign in ("", "-")], "default": "feature_id"},
    _read_sort,
)


def features(store_id: str) -> Response:
    """One part of the feature table, sorted by a statistic (`-density`: descending), with label and top token."""
    opened = workspace().open_store(store_id)
    most, offset, sort = LIMIT.asked(), OFFSET.asked(), SORT.asked()
    by, is_ascending = [sort.removeprefix("-"), "feature_id"], [not sort.startswith("-"), True]
    table = opened.stats().sort_values(by, ascending=is_ascending, na_position="last")
    labels = labels_of(catalog(), opened.sae_fingerprint)
    tokens = _top_tokens(opened)
    items = []
    for row in records(table.iloc[offset : offset + most]):
        found = labels.get(row["feature_id"])
        token = tokens[row["feature_id"]] if tokens else None
        items.append({**row, "label": found.name if found else None, "top_token": token})
    return answer_list(items, len(table), limit=most, offset=offset)


def feature(store_id: str, feature: str) -> Response:
    """Everything about one feature; a table that is still being computed is null."""
    opened, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    found = opened.feature(feature_id)
    stats = {name: found[name] for name in STATS.names if name != "feature_id"}
    saved = get_label(catalog(), opened.sae_fingerprint, feature_id)
    return answer(
        {
            "store": opened.id,
            "feature_id": feature_id,
            "samples": opened.samples,
            "stats": stats,
            "flags": {"is_dead": found["is_dead"], "is_dense": stats["density"] >= DENSE},
            "label": label(saved) if saved and not saved.is_cleared else None,
            "top_tokens": _or_none(lambda: records(opened.top_tokens(feature_id, TOP_TOKENS))),
            "influences": _or_none(lambda: _influences(opened, feature_id)),
            "neighbours": _or_none(lambda: _neighbours(opened, feature_id)),
        }
    )


@lru_cache(maxsize=16)
def _top_tokens(opened: Store) -> list[str | None] | None:
    """The strongest token of every feature, or None while they are not computed; a new generation is a new Store."""
    tokens = _or_none(lambda: opened.top_token_names(1))
    return None if tokens is None else [names[0] if names else None for names in tokens]


def _influences(opened: Store, feature_id: int) -> dict[str, Any]:
    found = opened.influences(feature_id)
    return {"kind": found.kind, "items": records(found.rows)}


def _neighbours(opened: Store, feature_id: int) -> list[dict[Hashable, Any]]:
    return records(opened.neighbours(feature_id).rename(columns={"neighbour": "feature_id"}))


def _or_none(read: Any) -> Any:
    try:
        return read()
    except TableMissing:
        return None


_STATS = {name: WHOLE if name in ("feature_id", "n") else or_null(NUMBER) for name in STATS.names}
_ROW = record(**_STATS, label=or_null(TEXT), top_token=or_null(TEXT))
_TOKEN = record(token=TEXT, token_id=WHOLE, n=WHOLE, **dict.fromkeys(("mean", "tfidf", "rate", "lift"), NUMBER))
_INFLUENCES = record(kind=TEXT, items=several(record(token=TEXT, token_id=WHOLE, value=NUMBER)))
_NEIGHBOUR = record(
    feature_id=WHOLE,
    **{name: or_null(NUMBER) for name in NEIGHBOURS.names if name not in ("feature_id", "neighbour")},
)
_FEATURE = record(
    store=TEXT,
    feature_id=WHOLE,
    samples=WHOLE,
    stats=record(**{name: schema for name, schema in _STATS.items() if name != "feature_id"}),
    flags=record(is_dead=FLAG, is_dense=FLAG),
    label=or_null(LABEL),
    top_tokens=or_null(several(_TOKEN)),
    influences=or_null(_INFLUENCES),
    neighbours=or_null(several(_NEIGHBOUR)),
)

ROUTES = (
    Route(
        "GET",
        f"{STORE}/features",
        features,
        {JSON: listing(_ROW, limit=WHOLE, offset=WHOLE)},
        (SORT, LIMIT, OFFSET),
        refusals=(503,),
    ),
    Route("GET", FEATURE, feature, {JSON: _FEATURE}, refusals=(503,)),
)
