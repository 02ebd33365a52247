"""One version of a label as pages show it: its texts, when it was saved, its history."""

from datetime import datetime
from typing import Any, NamedTuple

from dash import html

from dashboard.components.table import Column, number, table_data

FIELDS = ("name", "category", "confidence", "notes", "evidence")
"""What the editor edits."""


class LabelText(NamedTuple):
    """One version of a label; version None is 'no label yet', `evidence` a place `<store>/<context>/<position>` or ""."""

    name: str = ""
    notes: str = ""
    author: str = ""
    version: int | None = None
    when: datetime | None = None
    category: str = ""
    confidence: float | None = None
    evidence: str = ""


def when_words(when: datetime | None) -> str:
    """A time as '2026-11-21 14:05 UTC'; nothing for nothing."""
    return f"{when:%Y-%m-%d %H:%M} UTC" if when else ""


def label_title(label: LabelText) -> list[Any]:
    """The label as the page's title names it."""
    if label.name:
        title = f"version {label.version} by {label.author}, {when_words(label.when)}"
        return [html.Span(label.name, className="feature-label", title=title)]
    return [html.Span("no label yet", className="feature-label is-missing")]


def history_data(versions: list[LabelText]) -> dict[str, Any]:
    """Table data of all versions, newest first."""
    columns = (Column("version", "number"), Column("name"), Column("notes"), Column("by"), Column("saved"))
    rows = [
        [
            number(one.version or 0, str(one.version)),
            one.name or "(cleared)",
            one.notes,
            one.author,
            when_words(one.when),
        ]
        for one in versions
    ]
    return table_data(columns, rows, sorted_by=0, empty="Nobody has named this feature yet. Press e to be the first.")
