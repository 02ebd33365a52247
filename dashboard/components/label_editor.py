"""The dialog in which a feature is named: its texts, who signs, and what happens when somebody was quicker."""

from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import icon
from dashboard.components.label_words import FIELDS, LabelText, when_words
from dashboard.components.numbers import percent

NO_EVIDENCE = "-"


def label_editor(author: str, is_known: bool = False) -> html.Dialog:
    """The dialog, closed; `assets/label_editor.js` opens it for a feature and closes it.

    Where it `is_known` who signs, the name cannot be changed.
    """
    texts = {"type": "text", "autocomplete": "off"}
    confidence = dbc.Input(id="label-confidence", inputmode="decimal", placeholder="not said", **texts)
    return html.Dialog(
        [
            html.Div(
                [html.H2("Label", id="label-title"), html.Span(id="label-version", className="muted")],
                className="editor-head",
            ),
            html.Div(
                [
                    html.P(id="label-claim", className="editor-claim"),
                    _field("Name", "name", dbc.Input(id="label-name", **texts), is_counted=True),
                    html.Div(
                        [
                            _field(
                                "Category", "category", dbc.Input(id="label-category", list="label-categories", **texts)
                            ),
                            _field("How sure, in per cent", "confidence", confidence),
                        ],
                        className="editor-pair",
                    ),
                    html.Datalist(id="label-categories"),
                    _field("Notes", "notes", dbc.Textarea(id="label-notes", rows=4), is_counted=True),
                    _field("Evidence", "evidence", dbc.Select(id="label-evidence", value=NO_EVIDENCE, options=[])),
                    _field(
                        "Signed",
                        "author",
                        dbc.Input(id="label-author", value=author, type="text", autocomplete="name", readonly=is_known),
                    ),
                ],
                id="label-fields",
            ),
            html.P(id="label-origin", className="muted editor-origin"),
            _conflict(),
            html.Div(
                [
                    html.Span("Discard what you changed?"),
                    html.Button("Keep editing", id="label-keep", className="button"),
                    html.Button("Discard", id="label-discard", className="button"),
                ],
                id="label-discard-question",
                className="editor-question",
                hidden=True,
                role="alert",
            ),
            html.Div(
                [
                    html.Span("Empty name and notes to clear the label; every version is kept.", className="muted"),
                    html.Button("Close", id="label-close", className="button"),
                    html.Button([icon("check"), "Save"], id="label-save", className="button button-primary"),
                ],
                className="editor-foot",
            ),
        ],
        id="label-editor",
        className="editor",
        **{"aria-labelledby": "label-title", "data-changed": "no"},
    )


def editor_stores() -> list[dcc.Store]:
    """What the editor works on: whose label it is, the version that its reader saw, and the outcome of the last save."""
    return [dcc.Store(id=f"label-{name}") for name in ("place", "base", "theirs", "saved")]


def _conflict() -> html.Div:
    return html.Div(
        [
            html.P(id="label-conflict-words"),
            html.Div(id="label-conflict-texts", className="conflict-texts"),
            html.Div(
                [
                    html.Button("Take theirs", id="label-take-theirs", className="button"),
                    html.Button("Save mine on top", id="label-save-mine", className="button button-primary"),
                ],
                className="row-gap",
            ),
        ],
        id="label-conflict",
        className="editor-conflict",
        hidden=True,
        role="alert",
    )


def _field(words: str, name: str, control: Any, is_counted: bool = False) -> html.Div:
    counted = [html.Span(id=f"label-{name}-count", className="field-count")] if is_counted else []
    return html.Div(
        [
            html.Div([html.Label(words, htmlFor=f"label-{name}"), *counted], className="field-head"),
            control,
            html.Div(id=f"label-{name}-error", className="field-error", role="alert"),
        ],
        className="field",
    )


def conflict(theirs: LabelText, mine: LabelText) -> list[Any]:
    """Both versions side by side, after an edit was refused because somebody saved in between."""
    differing = [field for field in FIELDS if getattr(theirs, field) != getattr(mine, field)]
    return [
        _text(
            f"Saved meanwhile: version {theirs.version} by {theirs.author}, {when_words(theirs.when)}",
            theirs,
            differing,
        ),
        _text("Yours, not saved", mine, differing),
    ]


def _text(title: str, label: LabelText, differing: Sequence[str]) -> html.Div:
    lines: list[Any] = [html.Div(label.name or "(no name)", className="conflict-name")]
    if "category" in differing:
        lines.append(html.Div(f"category: {label.category or '(none)'}"))
    if "confidence" in differing:
        lines.append(html.Div("sure: " + ("not said" if label.confidence is None else percent(label.confidence))))
    if "evidence" in differing:
        lines.append(html.Div(f"evidence: {label.evidence or '(none)'}"))
    lines.append(html.Div(label.notes, className="conflict-notes"))
    return html.Div([html.Div(title, className="conflict-title"), *lines], className="conflict-text")
