"""The one way by which a browser changes a playlist."""

from collections.abc import Callable

from catalog.playlists import Playlist, change_playlist
from dashboard import context
from loaders.errors import BadInput


def change(name: str, how: Callable[[Playlist | None], Playlist]) -> Playlist:
    """Replace a playlist of the workspace by what `how` makes of it (None: there is none yet).

    Whoever may not change anything is refused here, before anything is read. Raises BadInput for a workspace that can
    only be read.
    """
    workspace = context.workspace()
    if workspace.url is not None:
        raise BadInput(f"'{workspace.url}' can only be read. Add the step to a workspace on a disk and copy it there.")
    return change_playlist(workspace.playlist_path(name), how)
