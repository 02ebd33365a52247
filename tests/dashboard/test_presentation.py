"""A presentation says of every step whether it can be shown; a browser changes a playlist through one function."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from catalog.playlists import Playlist, Step, change_playlist, read_playlist
from dashboard import presenter, urls
from dashboard.playlist_change import rearrange
from dashboard.presentation import bar_data, first_href, problem, shown_steps
from loaders.errors import BadInput
from loaders.workspace import Workspace

STORE = "tiny-l0@texts"


@pytest.fixture
def talk(server: Flask, workspace: Workspace) -> Iterator[Path]:
    """A playlist in the workspace of the tests, two of whose four steps are gone."""
    path = workspace.playlist_path("talk")
    steps = (
        Step(urls.feature("gone@texts", 1), "Gone"),
        Step(urls.feature(STORE, 3), "Here", "Say this."),
        Step(urls.feature(STORE, 9_999), "Too far"),
        Step(urls.training(), "Curves"),
    )
    change_playlist(path, lambda there: Playlist("A talk", steps))
    with server.test_request_context():
        yield path
    shutil.rmtree(path.parent)


@pytest.mark.parametrize(
    "url", ["/", "/training", "/layers/tiny", f"/explorer/{STORE}?q=the", f"/feature/{STORE}/127", "/present/talk"]
)
def test_a_view_that_is_there_has_no_problem(workspace: Workspace, url: str) -> None:
    assert problem(workspace, url) == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/nowhere/1", "There is no page at '/nowhere/1'."),
        ("/explorer/gone@texts", "There is no store 'gone@texts' in this workspace"),
        (f"/feature/{STORE}/128", f"Feature 128 does not exist: {STORE} has features 0 to 127."),
        (f"/feature/{STORE}/x", "names no feature"),
        ("/layers/gone", "There is no set 'gone' in this workspace."),
        ("/present/Not a name", "is no name of a playlist"),
    ],
)
def test_a_view_that_is_gone_says_so_in_a_sentence(workspace: Workspace, url: str, words: str) -> None:
    assert words in problem(workspace, url)


def test_a_presentation_begins_with_the_first_step_that_can_be_shown(workspace: Workspace, talk: Path) -> None:
    steps = shown_steps(workspace, "talk", read_playlist(talk))
    assert [bool(step.problem) for step in steps] == [True, False, True, False]
    assert first_href(steps) == urls.presented(urls.feature(STORE, 3), "talk", 2)
    assert [step["title"] for step in bar_data(workspace, "talk")["steps"]] == ["Gone", "Here", "Too far", "Curves"]


def test_a_presented_playlist_that_is_not_there_is_a_sentence(workspace: Workspace) -> None:
    assert bar_data(workspace, "none") == {
        "name": "none", "steps": [], "error": "There is no playlist 'none'. Make one with `loupe playlist add`.",
    }  # fmt: skip


def test_the_list_says_how_many_steps_cannot_be_shown_and_what_cannot_be_read(workspace: Workspace, talk: Path) -> None:
    talk.with_name("torn.json").write_text("{")
    lines = {line.name: line for line in presenter.playlist_lines(workspace)}
    assert (lines["talk"].steps, lines["talk"].missing, lines["talk"].problem) == (4, 2, "")
    assert "is not JSON" in lines["torn"].problem and lines["torn"].start is None


def test_a_view_is_added_as_the_browser_shows_it_and_begins_a_playlist(talk: Path) -> None:
    href = f"/explorer/{STORE}?q=the&present=talk:2"
    assert presenter.add_view("Lab day 3", href, " A search ", "") == 1
    made = read_playlist(talk.with_name("lab-day-3.json"))
    assert made == Playlist("Lab day 3", (Step(f"/explorer/{STORE}?q=the", "A search"),))
    assert presenter.add_view("talk", href, "A search", "a note") == 5


@pytest.mark.parametrize(
    ("name", "href", "title", "words"),
    [
        (" ", "/", "Home", "A playlist needs a name"),
        ("???", "/", "Home", "no letter or digit"),
        ("talk", "/", "  ", "title must not be empty"),
        ("talk", "/feature/gone@texts/1", "Gone", "This view cannot be presented: There is no store"),
    ],
)
def test_what_cannot_be_a_step_is_refused_and_nothing_is_written(talk: Path, name, href, title, words) -> None:
    before = talk.read_bytes()
    with pytest.raises(BadInput, match=words):
        presenter.add_view(name, href, title, "")
    assert talk.read_bytes() == before and [path.name for path in talk.parent.glob("*.json")] == ["talk.json"]


def test_a_change_to_steps_that_somebody_else_has_changed_is_refused(workspace: Workspace, talk: Path) -> None:
    seen = [step._asdict() for step in shown_steps(workspace, "talk", read_playlist(talk))]
    made = rearrange("talk", {"how": "down", "step": 1}, seen)
    assert [step.title for step in made.steps] == ["Here", "Gone", "Too far", "Curves"]
    with pytest.raises(BadInput, match="Somebody has changed this playlist meanwhile"):
        rearrange("talk", {"how": "remove", "step": 1}, seen)
    rearrange("talk", {"how": "remove", "step": 2}, [step._asdict() for step in made.steps])
    assert [step.title for step in read_playlist(talk).steps] == ["Here", "Too far", "Curves"]
