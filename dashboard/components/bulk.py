"""The bar that says how many features are chosen, and the dialog in which they are labelled at once."""

from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import icon

HOW = {"name": "Name", "category": "Category", "clear": "Clear", "list": "Add to a list"}


def bulk_bar() -> html.Div:
    """How many are chosen and what can be done with them; `assets/labels.js` shows it when there is something to say."""
    return html.Div(
        [
            html.Span(id="bulk-count", role="status"),
            html.Button(
                [icon("pencil"), "Label them"],
                className="button writes bulk-open",
                **{"data-action": "bulk-open"},
            ),
            html.Button("Choose none", className="button bulk-open", **{"data-action": "bulk-none"}),
            html.Span(id="bulk-said", className="bulk-said", role="status"),
            html.Button([icon("history"), "Undo"], id="bulk-undo", className="button writes", hidden=True),
        ],
        id="bulk-bar",
        className="bulk-bar",
        **{"data-selected": "0"},
    )


def bulk_dialog() -> html.Div:
    """The dialog, closed, with what it works on."""
    return html.Div(
        [
            dcc.Store(id="bulk-selected", data=[]),
            dcc.Store(id="bulk-place"),
            dcc.Store(id="bulk-seen"),
            dcc.Store(id="bulk-stale-seen"),
            dcc.Store(id="bulk-done"),
            html.Dialog(
                [
                    html.Div(
                        [html.H2("Label many features"), html.Span(id="bulk-words", className="muted")],
                        className="editor-head",
                    ),
                    dbc.RadioItems(
                        id="bulk-how", options=HOW, value="name", inline=True, className="segmented bulk-how"
                    ),
                    _field("Name of all of them", "name", "name"),
                    _field("Category", "category", "name category", "bulk-categories"),
                    _field("List, or the name of a new one", "list", "list", "bulk-lists"),
                    html.P(
                        "Their names, notes and categories are emptied; every version is kept.",
                        className="muted bulk-field",
                        **{"data-how": "clear"},
                    ),
                    html.Div(id="bulk-error", className="field-error", role="alert"),
                    _stale(),
                    html.Div(
                        [
                            html.Span("All of them are saved, or none.", className="muted"),
                            html.Button("Close", className="button", **{"data-action": "bulk-close"}),
                            html.Button([icon("check"), "Save"], id="bulk-save", className="button button-primary"),
                        ],
                        className="editor-foot",
                    ),
                ],
                id="bulk-dialog",
                className="editor",
                **{"aria-label": "Label many features", "data-how": "name"},
            ),
        ]
    )


def _stale() -> html.Div:
    return html.Div(
        [
            html.P(id="bulk-stale-words"),
            html.Ul(id="bulk-stale-list"),
            html.Div(
                [
                    html.Button("Leave those out", id="bulk-leave", className="button"),
                    html.Button("Save mine on top", id="bulk-mine", className="button button-primary"),
                ],
                className="row-gap",
            ),
        ],
        id="bulk-stale",
        className="editor-conflict",
        hidden=True,
        role="alert",
    )


def _field(words: str, name: str, shown_for: str, options: str = "") -> html.Div:
    given: dict[str, Any] = {"list": options} if options else {}
    return html.Div(
        [
            html.Label(words, htmlFor=f"bulk-{name}"),
            dbc.Input(id=f"bulk-{name}", autocomplete="off", **given),
            *([html.Datalist(id=options)] if options else []),
        ],
        className="field bulk-field",
        **{"data-how": shown_for},
    )
