"""The playlist that the pipeline makes: the measured findings of a workspace as views to present."""

import hashlib

from catalog.playlists import Playlist, Step, change_playlist, read_playlist
from dashboard import urls
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.findings import Finding, find_all
from precompute.pipeline import Task
from precompute.progress import Progress

NAME, TITLE = "demo", "The demo in a few views"


def showcase_task(workspace: Workspace) -> Task:
    """The last step of the demo: choose what is worth showing, once per set of stores; a changed playlist stays as it is."""

    def run(bar: Progress) -> None:
        path = workspace.playlist_path(NAME)
        there = read_playlist(path) if path.exists() else None
        is_due = there is None or there.made_from not in ("", made_from(workspace))
        if is_due and workspace.store_ids():
            with bar.step("choose findings", total=1, unit="playlist") as step:
                write_showcase(workspace, NAME, TITLE)
                step.advance(1)

    return Task(f"{NAME}/playlist", "Choose what to present", run)


def write_showcase(workspace: Workspace, name: str, title: str) -> Playlist:
    """Write a playlist of the workspace's findings, anew where a pipeline made the one that is there.

    Raises BadInput where there is nothing to show yet, or where a person has changed the playlist.
    """
    steps = tuple(as_step(finding) for finding in find_all(workspace))
    if not steps:
        raise BadInput(
            "There is nothing to present in this workspace yet: it has no published store. Run `loupe build`."
        )

    def replace(there: Playlist | None) -> Playlist:
        if there is not None and not there.made_from:
            raise BadInput(
                f"Playlist '{name}' was made or changed by a person. Choose another name, or remove it first."
            )
        return Playlist(title, steps, made_from(workspace))

    return change_playlist(workspace.playlist_path(name), replace)


def as_step(finding: Finding) -> Step:
    """A finding as the view that shows it."""
    hrefs = {
        "explorer": lambda: urls.explorer(finding.place),
        "feature": lambda: urls.feature(finding.place, finding.feature or 0),
        "layers": lambda: urls.layers(finding.place),
        "training": urls.training,
    }
    return Step(hrefs[finding.page](), finding.title, finding.note)


def made_from(workspace: Workspace) -> str:
    """A fingerprint of all published stores."""
    prints = sorted(f"{store} {workspace.open_store(store).fingerprint}" for store in workspace.store_ids())
    return hashlib.sha256("\n".join(prints).encode()).hexdigest()[:16]
