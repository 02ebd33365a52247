"""The one way by which a browser changes a playlist."""

from collections.abc import Callable, Sequence
from typing import Any

from catalog.playlists import Playlist, change_playlist, with_step_moved, without_step
from dashboard import context
from dashboard.access.visitor import require
from loaders.errors import BadInput


def change(name: str, how: Callable[[Playlist | None], Playlist]) -> Playlist:
    """Replace a playlist of the workspace by what `how` makes of it (None: there is none yet).

    Whoever may not change anything is refused here, before anything is read. Raises Refused, and BadInput for a workspace
    that can only be read.
    """
    require("labeller")
    workspace = context.workspace()
    if workspace.url is not None:
        raise BadInput(f"'{workspace.url}' can only be read. Add the step to a workspace on a disk and copy it there.")
    return change_playlist(workspace.playlist_path(name), how)


def rearrange(name: str, asked: dict[str, Any], shown: Sequence[dict[str, Any]]) -> Playlist:
    """Move a step `up` or `down`, or `remove` it, as `asked` says; `shown` are the steps that the asker saw.

    Raises BadInput where somebody else has changed the playlist meanwhile.
    """
    seen = [(step["url"], step["title"], step["note"]) for step in shown]
    place, how = int(asked["step"]), asked["how"]

    def changed(there: Playlist | None) -> Playlist:
        if there is None or [tuple(step) for step in there.steps] != seen:
            raise BadInput("Somebody has changed this playlist meanwhile. Load the page anew and repeat your change.")
        return (
            without_step(there, place)
            if how == "remove"
            else with_step_moved(there, place, place - 1 if how == "up" else place + 1)
        )

    return change(name, changed)
