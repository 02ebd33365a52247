"""The table of everything that was counted about one feature's activations."""

from collections.abc import Mapping
from typing import Any

from dashboard.components.numbers import count, figures, percent
from dashboard.components.table import Column, table_data

MEASURES = (
    ("min", "smallest activation"),
    ("q25", "lower quartile"),
    ("q50", "median"),
    ("q75", "upper quartile"),
    ("max", "largest activation"),
    ("mean", "mean"),
    ("std", "standard deviation"),
    ("sum", "sum"),
)


def facts_table(row: Mapping[str, Any], *, samples: int, contexts: int, all_contexts: int) -> dict[str, Any]:
    """Table data of a row of schema.STATS; all measures are over firing samples, zeros left out."""
    columns = (Column("quantity"), Column("value", "value"))
    shown = [
        ["firing samples", f"{count(row['n'])} of {count(samples)}"],
        ["density", percent(row["density"])],
        ["contexts in which it fires", f"{count(contexts)} of {count(all_contexts)}"],
    ]
    if row["n"]:
        shown += [[words, figures(row[name])] for name, words in MEASURES]
    return table_data(columns, shown)
