"""Presenting: the bar that leads through a playlist, the dialog that adds a view to one, the pages that list them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.blocks import icon, panel
from dashboard.components.numbers import plural


def presenter_bar() -> html.Div:
    """The bar below a presented view; `assets/presenter.js` fills its texts, follows its buttons and shows the notes."""
    return html.Div(
        [
            html.Div(id="presenter-note", className="presenter-note", hidden=True, role="note"),
            html.Div(
                [
                    _step_button("previous", "Previous step (←)"),
                    html.Span(id="presenter-place", className="presenter-place num"),
                    _step_button("next", "Next step (→)"),
                    html.Div(id="presenter-title", className="presenter-title", **{"aria-live": "polite"}),
                    html.Div(id="presenter-said", className="presenter-said", role="status"),
                    _step_button("note", "Notes (n)", **{"data-key": "n", "aria-expanded": "false"}),
                    _step_button("leave", "Leave the presentation (Esc)"),
                ],
                className="presenter-line",
            ),
        ],
        id="presenter-bar",
        className="presenter-bar",
        role="region",
        **{"aria-label": "Presentation"},
    )


def _step_button(action: str, words: str, **more: str) -> html.Button:
    return html.Button(
        icon({"leave": "close"}.get(action, action)),
        className="presenter-button",
        title=words,
        **{"data-present": action, "aria-label": words, **more},
    )


def add_view_dialog() -> html.Dialog:
    """The dialog behind 'Add this view to a playlist', closed."""
    return html.Dialog(
        [
            html.H2("Add this view to a playlist"),
            html.Div(id="playlist-view", className="playlist-view token-text"),
            _field("Playlist", "name", dbc.Input(id="playlist-name", list="playlist-names", autocomplete="off", maxLength=80)),
            html.Datalist(id="playlist-names"),
            _field("Title, shown while you present", "title", dbc.Input(id="playlist-title", autocomplete="off", maxLength=200)),
            _field("Note to say, shown on n", "note", dbc.Textarea(id="playlist-note", rows=3)),
            html.Div(id="playlist-error", className="field-error", role="alert"),
            html.Div(
                [
                    html.Button("Close", className="button", **{"data-action": "close-playlist"}),
                    html.Button([icon("check"), "Add"], id="playlist-save", className="button button-primary"),
                ],
                className="editor-foot playlist-foot",
            ),
        ],
        id="playlist-dialog",
        className="editor",
        **{"aria-label": "Add this view to a playlist"},
    )  # fmt: skip


def _field(words: str, name: str, control: Any) -> html.Div:
    return html.Div([html.Label(words, htmlFor=f"playlist-{name}"), control], className="field")


class PlaylistLine(NamedTuple):
    """One playlist of a list; `start` is None where it has no step that can be shown, `problem` why it cannot be read."""

    name: str
    title: str
    href: str
    start: str | None
    steps: int
    missing: int
    problem: str


def playlist_links(lines: Sequence[PlaylistLine], *, title: str = "Playlists") -> html.Section:
    """Every playlist with the way to present it and the way to its steps."""
    return panel(title, html.Div([_playlist(line) for line in lines], className="playlists"))


def _playlist(line: PlaylistLine) -> html.Div:
    counted = plural(line.steps, "step") + (f", {line.missing} cannot be shown" if line.missing else "")
    start = [dcc.Link([icon("present"), "Present"], href=line.start, className="button button-primary")]
    return html.Div(
        [
            html.Div(
                [
                    dcc.Link(line.title, href=line.href, className="playlist-name"),
                    html.Span(line.problem or counted, className="muted"),
                ],
                className="playlist-words",
            ),
            *(start if line.start else []),
        ],
        className="playlist",
    )
