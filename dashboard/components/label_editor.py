"""The dialog in which a feature is named: both texts, who signs, and what happens when somebody was quicker."""

from datetime import datetime
from typing import Any, NamedTuple

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import icon
from dashboard.components.table import Column, number, table_data


class LabelText(NamedTuple):
    """One version of a label as it is shown; version None is 'no label yet'."""

    name: str = ""
    notes: str = ""
    author: str = ""
    version: int | None = None
    when: datetime | None = None


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


def conflict(theirs: LabelText, mine: LabelText) -> list[Any]:
    """Both texts side by side, after an edit was refused because somebody saved in between."""
    return [
        _text(f"Saved meanwhile: version {theirs.version} by {theirs.author}, {when_words(theirs.when)}", theirs),
        _text("Yours, not saved", mine),
    ]


def _text(title: str, label: LabelText) -> html.Div:
    return html.Div(
        [
            html.Div(title, className="conflict-title"),
            html.Div(label.name or "(no name)", className="conflict-name"),
            html.Div(label.notes, className="conflict-notes"),
        ],
        className="conflict-text",
    )


def label_editor(label: LabelText, author: str, feature: str, is_known: bool = False) -> html.Dialog:
    """The dialog, closed; `feature` names the feature in its title. `assets/label_editor.js` opens and closes it.

    Where it `is_known` who signs, the name cannot be changed.
    """
    return html.Dialog(
        [
            html.Div(
                [html.H2(["Label of ", feature]), html.Span(id="feature-version", className="muted")],
                className="editor-head",
            ),
            _field("Name", "name", dbc.Input(id="feature-name", value=label.name, type="text", autocomplete="off")),
            _field("Notes", "notes", dbc.Textarea(id="feature-notes", value=label.notes, rows=6)),
            _field("Signed", "author", _signature(author, is_known)),
            html.Div(
                [
                    html.P(id="feature-conflict-words"),
                    html.Div(id="feature-conflict-texts", className="conflict-texts"),
                    html.Div(
                        [
                            html.Button("Take theirs", id="feature-take-theirs", className="button"),
                            html.Button("Save mine on top", id="feature-save-mine", className="button button-primary"),
                        ],
                        className="row-gap",
                    ),
                ],
                id="feature-conflict",
                className="editor-conflict",
                hidden=True,
                role="alert",
            ),
            html.Div(
                [
                    html.Span("Discard what you changed?"),
                    html.Button("Keep editing", id="feature-keep", className="button"),
                    html.Button("Discard", id="feature-discard", className="button"),
                ],
                id="feature-discard-question",
                className="editor-question",
                hidden=True,
                role="alert",
            ),
            html.Div(
                [
                    html.Span("Empty both texts to clear the label; every version is kept.", className="muted"),
                    html.Button("Close", id="feature-close", className="button"),
                    html.Button([icon("check"), "Save"], id="feature-save", className="button button-primary"),
                ],
                className="editor-foot",
            ),
        ],
        id="feature-editor",
        className="editor",
        **{"aria-label": f"Label of {feature}", "data-changed": "no"},
    )


def _signature(author: str, is_known: bool) -> dbc.Input:
    return dbc.Input(id="feature-author", value=author, type="text", autocomplete="name", readonly=is_known)


def _field(words: str, name: str, control: Any) -> html.Div:
    counted = [html.Span(id=f"feature-{name}-count", className="field-count")] if name != "author" else []
    return html.Div(
        [
            html.Div([html.Label(words, htmlFor=f"feature-{name}"), *counted], className="field-head"),
            control,
            html.Div(id=f"feature-{name}-error", className="field-error", role="alert"),
        ],
        className="field",
    )


def editor_stores(label: LabelText) -> list[dcc.Store]:
    """What the editor works on: the version that its reader saw, and the outcome of the last save."""
    return [
        dcc.Store(id="feature-base", data=base_data(label)),
        dcc.Store(id="feature-theirs"),
        dcc.Store(id="feature-saved"),
    ]


def base_data(label: LabelText) -> dict[str, Any]:
    """The texts and version that an edit starts from."""
    return {"name": label.name, "notes": label.notes, "version": label.version}
