"""Presenting, in the frame of every page: the bar that leads through a playlist, and the dialog that adds a view to one."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from catalog.playlists import Playlist, Step, read_playlist, with_step
from dashboard import bundles, context, urls
from dashboard.access.callbacks import requires
from dashboard.components.presenter import PlaylistLine, add_view_dialog, presenter_bar
from dashboard.playlist_change import change
from dashboard.presentation import bar_data, first_href, problem, shown_steps
from loaders.errors import BadInput, LoupeError
from loaders.workspace import Workspace, slug

DRAWING = (bundles.PLOTLY, "/_dash-component-suites/dash_ag_grid/async-community.js")
"""What draws figures and tables, fetched while the first step is looked at."""


def layout() -> list[Any]:
    """What the frame holds of a presentation; `assets/presenter.js` shows it where the address has `present`."""
    return [
        dcc.Store(id="presenter-wanted"),
        dcc.Store(id="presenter-data"),
        dcc.Store(id="playlist-view-data"),
        dcc.Store(id="playlist-saved"),
        presenter_bar(),
        add_view_dialog(),
    ]


def playlist_lines(workspace: Workspace) -> list[PlaylistLine]:
    """Every playlist of the workspace; one that cannot be read says why."""
    lines = []
    for name in workspace.playlist_names():
        href = urls.present(name)
        try:
            playlist = read_playlist(workspace.playlist_path(name))
        except LoupeError as error:
            lines.append(PlaylistLine(name, name, href, None, 0, 0, str(error)))
            continue
        steps = shown_steps(workspace, name, playlist)
        missing = sum(bool(step.problem) for step in steps)
        lines.append(PlaylistLine(name, playlist.title, href, first_href(steps), len(steps), missing, ""))
    return lines


def add_view(name: str, href: str, title: str, note: str) -> int:
    """Add a view as the last step of a playlist, which begins here if need be; returns the step's number.

    Raises BadInput for what cannot be a step, and for a view that is not there.
    """
    if not name.strip():
        raise BadInput("A playlist needs a name. Choose one of those there, or begin a new one.")
    url = urls.view(href)
    if found := problem(context.workspace(), url):
        raise BadInput(f"This view cannot be presented: {found}")
    step = Step(url, title.strip(), note.strip())
    return len(change(slug(name), lambda there: with_step(there or Playlist(name.strip()), step)).steps)


def register(app: Dash) -> None:
    """Add the callbacks to an app."""
    app.clientside_callback(
        ClientsideFunction("presenter", "wanted"),
        Output("presenter-wanted", "data"),
        Input("shell-location", "search"),
        Input("shell-location", "pathname"),
        State("presenter-wanted", "data"),
    )

    @app.callback(
        Output("presenter-data", "data"),
        Input("presenter-wanted", "data"),
        Input("shell-generation", "data"),
        Input("playlist-saved", "data"),
        prevent_initial_call=True,
    )
    def follow(name: str | None, *_: Any) -> Any:
        """The steps of the playlist that is presented."""
        return {**bar_data(context.workspace(), name), "scripts": DRAWING} if name else no_update

    app.clientside_callback(
        ClientsideFunction("presenter", "show"), Output("presenter-bar", "data-shown"), Input("presenter-data", "data")
    )

    @app.callback(
        Output("playlist-names", "children"),
        Output("playlist-title", "value"),
        Output("playlist-note", "value"),
        Output("playlist-error", "children"),
        Input("playlist-view-data", "data"),
        prevent_initial_call=True,
    )
    def offer(view: dict[str, str]) -> Any:
        """Start with the view's own title and the playlists that are there."""
        names = [html.Option(value=name) for name in context.workspace().playlist_names()]
        return names, view["title"], "", ""

    @app.callback(
        Output("playlist-saved", "data"),
        Output("playlist-error", "children", allow_duplicate=True),
        Output("shell-message", "children", allow_duplicate=True),
        Output("shell-message", "is_open", allow_duplicate=True),
        Output("shell-message", "color"),
        Input("playlist-save", "n_clicks"),
        State("playlist-view-data", "data"),
        State("playlist-name", "value"),
        State("playlist-title", "value"),
        State("playlist-note", "value"),
        prevent_initial_call=True,
        running=[(Output("playlist-save", "disabled"), True, False)],
    )
    @requires("labeller")
    def save(clicks: int | None, view: dict[str, str], name: str | None, title: str | None, note: str | None) -> Any:
        """Write the step; what is wrong stands in the dialog, which then stays open."""
        if not clicks:
            return [no_update] * 5
        try:
            place = add_view(name or "", view["href"], title or "", note or "")
        except LoupeError as error:
            return no_update, str(error), no_update, no_update, no_update
        words = [f"Added as step {place} of ", dcc.Link(slug(name or ""), href=urls.present(slug(name or "")))]
        return [clicks, place], "", [*words, "."], True, "success"

    app.clientside_callback(
        ClientsideFunction("playlist", "close"),
        Output("playlist-dialog", "data-closed"),
        Input("playlist-saved", "data"),
    )
