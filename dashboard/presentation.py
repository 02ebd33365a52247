"""What a playlist shows in a workspace: its steps as addresses of a presentation, and what is missing of each."""

from typing import Any, NamedTuple

from catalog.playlists import Playlist, read_playlist
from dashboard import urls
from loaders.errors import FeatureNotFound, LoupeError
from loaders.workspace import Workspace


class ShownStep(NamedTuple):
    """One step: `href` presents it, `url` is the plain view; `problem` is why it cannot be shown now, else ""."""

    href: str
    url: str
    title: str
    note: str
    problem: str


def problem(workspace: Workspace, url: str) -> str:
    """Why a view cannot be shown, in a sentence: its page, store, feature or set is gone; "" where it can."""
    path = url.partition("?")[0]
    place = urls.read(path)
    if not place.page:
        return f"There is no page at '{path[:80]}'."
    if place.page == "feature" and place.feature is None:
        return f"'{path[:80]}' names no feature."
    if place.set_id is not None and place.set_id not in workspace.sets():
        return f"There is no set '{place.set_id[:80]}' in this workspace."
    try:
        if place.playlist is not None:
            workspace.playlist_path(place.playlist)
        if place.store is not None:
            store = workspace.open_store(place.store)
            if place.feature is not None and place.feature >= store.features:
                raise FeatureNotFound(place.feature, store.features, store.id)
    except LoupeError as error:
        return str(error)
    return ""


def shown_steps(workspace: Workspace, name: str, playlist: Playlist) -> list[ShownStep]:
    """The steps of a playlist as they can be shown now."""
    return [
        ShownStep(urls.presented(step.url, name, place), step.url, step.title, step.note, problem(workspace, step.url))
        for place, step in enumerate(playlist.steps, 1)
    ]


def first_href(steps: list[ShownStep]) -> str | None:
    """Where a presentation begins: its first step that can be shown."""
    return next((step.href for step in steps if not step.problem), None)


def bar_data(workspace: Workspace, name: str) -> dict[str, Any]:
    """What `assets/presenter.js` leads through; a playlist that cannot be read has no steps and an `error`."""
    try:
        playlist = read_playlist(workspace.playlist_path(name))
    except LoupeError as error:
        return {"name": name, "steps": [], "error": str(error)}
    steps = [step._asdict() for step in shown_steps(workspace, name, playlist)]
    return {"name": name, "steps": steps, "error": ""}
