"""One version of a label as pages show it: its texts, and when it was saved."""

from datetime import datetime
from typing import Any, NamedTuple

from dash import html

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
