"""Present: every playlist, or the steps of one of them with the way to present it and to put it in order."""

from typing import Any

import dash
from dash import ClientsideFunction, Input, Output, State, callback, clientside_callback, dcc, html, no_update

from catalog.playlists import Playlist, read_playlist
from dashboard import urls
from dashboard.access.callbacks import requires
from dashboard.access.visitor import may
from dashboard.components import empty_state, icon, panel, plural
from dashboard.components.presenter import playlist_links
from dashboard.context import workspace
from dashboard.playlist_change import rearrange
from dashboard.presentation import first_href, shown_steps
from dashboard.presenter import playlist_lines
from loaders.errors import LoupeError

HOW = "Open a view and press the button with the list and the plus in the top bar, or run "


def layout(playlist: str | None = None, **_: str) -> html.Div:
    """The steps of a playlist, or all playlists; a playlist that is not there becomes a sentence."""
    if playlist is None:
        return _page("Present", "Playlists of views, to lead visitors through.", None, [_all()])
    try:
        found = read_playlist(workspace().playlist_path(playlist))
    except LoupeError as error:
        empty = empty_state("This playlist cannot be shown", str(error), action=_back(), icon_name="present")
        return _page("Present", "", None, [html.Section(empty, className="panel")])
    steps = shown_steps(workspace(), playlist, found)
    start = first_href(steps)
    action = dcc.Link([icon("present"), "Present"], href=start, className="button button-primary") if start else None
    return _page(found.title, _counted(steps), action, _steps(playlist, found))


dash.register_page(__name__, path_template="/present/<playlist>", title="Present · Loupe", layout=layout)
dash.register_page("pages.present_all", path="/present", title="Present · Loupe", layout=layout)


def _page(title: str, lead: str, action: Any, body: list[Any]) -> html.Div:
    header = html.Header(
        [
            html.H1(title, className="page-title"),
            html.Span(lead, id="present-lead", className="page-lead num"),
            html.Div(action, className="page-actions"),
        ],
        className="page-header",
    )
    return html.Div([header, *body], className="page")


def _back() -> dcc.Link:
    return dcc.Link("All playlists", href=urls.present())


def _all() -> html.Section:
    lines = playlist_lines(workspace())
    if lines:
        return playlist_links(lines)
    words = [HOW, html.Code("loupe playlist add"), "."]
    return html.Section(empty_state("There is no playlist yet", words, icon_name="present"), className="panel")


def _counted(steps: list[Any]) -> str:
    missing = sum(bool(step.problem) for step in steps)
    return plural(len(steps), "step") + (f", {missing} of which cannot be shown and will be skipped" if missing else "")


def _steps(name: str, found: Playlist) -> list[Any]:
    return [
        dcc.Store(id="present-steps-data", data=_data(name, found)),
        dcc.Store(id="present-change"),
        panel("Steps", html.Div(id="present-steps", className="fill"), note=_back(), class_name="present-steps-panel"),
    ]


def _data(name: str, found: Playlist) -> dict[str, Any]:
    steps = [step._asdict() for step in shown_steps(workspace(), name, found)]
    return {"name": name, "steps": steps, "can_change": workspace().url is None and may("labeller")}


@callback(
    Output("present-steps-data", "data"),
    Output("present-lead", "children"),
    Input("present-change", "data"),
    State("present-steps-data", "data"),
    prevent_initial_call=True,
)
@requires("labeller")
def change_steps(asked: dict[str, Any] | None, shown: dict[str, Any]) -> Any:
    """Move or remove the step that was asked for; refused where somebody else has changed the playlist meanwhile."""
    if not asked:
        return no_update, no_update
    made = rearrange(shown["name"], asked, shown["steps"])
    return _data(shown["name"], made), _counted(shown_steps(workspace(), shown["name"], made))


clientside_callback(
    ClientsideFunction("playlist", "steps"),
    Output("present-steps", "data-shown"),
    Input("present-steps-data", "data"),
)
