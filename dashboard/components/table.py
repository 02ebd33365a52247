"""Data of the plain tables that `assets/feature.js` draws: hundreds of cells cost one component."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Cell = str | tuple[float | None, str] | list[str] | dict[str, Any]


class Column(NamedTuple):
    """`kind`: number (right-aligned, sortable), token (a list, in monospace with visible whitespace),
    feature (link), value (right-aligned) or text."""

    title: str
    kind: str = "text"
    help: str = ""


def table_data(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, sorted_by: int | None = None, empty: str = ""
) -> dict[str, Any]:
    """Columns and rows as JSON; number cells are (value to sort by, text). `empty` is the sentence without rows."""
    return {
        "columns": [column._asdict() for column in columns],
        "rows": [list(row) for row in rows],
        "sorted": sorted_by,
        "empty": empty,
    }


def number(value: float | int, text: str) -> tuple[float | None, str]:
    """A number cell; what JSON cannot say (infinite, not a number) sorts last."""
    value = float(value)
    return (value if abs(value) < float("inf") else None), text
