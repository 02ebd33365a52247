"""Playlists are read strictly, changed whole or not at all, and no change of two people is lost."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from catalog import playlists
from catalog.playlists import Playlist, Step, change_playlist, read_playlist
from loaders.errors import BadInput, StoreDamaged, StoreNotFound

FIRST, SECOND, THIRD = (Step(f"/feature/a@b/{n}", f"Feature {n}", f"note {n}") for n in (1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "playlists" / "talk.json"


def document(**changed: Any) -> dict[str, Any]:
    steps = [{"url": "/training", "title": "Curves"}]
    return {"kind": "playlist", "schema_version": 1, "title": "A talk", "steps": steps, **changed}


def test_a_playlist_reads_back_as_it_was_written(path: Path) -> None:
    made = change_playlist(path, lambda there: Playlist("A talk — für alle", (FIRST, Step("/", "Home")), "abc"))
    assert read_playlist(path) == made
    assert "für alle" in path.read_text(encoding="utf-8")  # people edit it by hand
    assert sorted(file.name for file in path.parent.iterdir()) == [".lock", "talk.json"]


def test_a_playlist_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StoreNotFound, match="no playlist 'talk'"):
        read_playlist(path)
    with pytest.raises(StoreNotFound, match="no playlist 'talk'"):
        playlists.remove_playlist(path)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "wanted an object with title and steps, found \\[\\]"),
        (document(kind="advice"), "wanted \"kind\": \"playlist\" and \"schema_version\": 1, found 'advice' and 1"),
        (document(schema_version=2), "found 'playlist' and 2"),
        (document(titel="x"), "the playlist has an unknown field 'titel'; known are kind, made_from"),
        (document(title=7), "title must be a text, found 7"),
        (document(title=" "), "title must not be empty"),
        (document(steps={}), "steps must be a list, found {}"),
        (document(steps=["/training"]), "step 1 must be an object with url and title, found '/training'"),
        (document(steps=[{"url": "/", "title": "a"}, {"url": "/"}]), "step 2: title must be a text, found nothing"),
        (document(steps=[{"url": "/", "title": "a", "notes": "b"}]), "step 1 has an unknown field 'notes'"),
        (document(steps=[{"url": "https://elsewhere.example/", "title": "a"}]), "step 1: url must be a path of this site"),
        (document(steps=[{"url": "//elsewhere.example", "title": "a"}]), "step 1: url must be a path of this site"),
        (document(steps=[{"url": "/\\elsewhere.example", "title": "a"}]), "step 1: url must be a path of this site"),
        (document(steps=[{"url": "/a\nb", "title": "a"}]), "step 1: url must be a path of this site"),
        (document(steps=[{"url": "/", "title": "a" * 201}]), "step 1: title may have at most 200 characters, found 201"),
        (document(steps=[{"url": "/", "title": "a"}] * 501), "at most 500 steps, found 501"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_playlist_says_where_and_what_was_wanted(path: Path, found: Any, words: str) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps(found))
    with pytest.raises(StoreDamaged, match=words):
        read_playlist(path)


def test_a_torn_file_names_its_line(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"kind": "playlist",\n "steps": [')
    with pytest.raises(StoreDamaged, match="is not JSON \\(line 2"):
        read_playlist(path)


def test_a_change_that_makes_no_playlist_leaves_the_file_as_it_was(path: Path) -> None:
    change_playlist(path, lambda there: Playlist("A talk", (FIRST,)))
    before = path.read_bytes()
    with pytest.raises(BadInput, match="step 2: title must not be empty"):
        change_playlist(path, lambda there: playlists.with_step(there or Playlist("x"), Step("/", "")))
    assert path.read_bytes() == before


def test_steps_are_added_moved_and_removed_by_their_place() -> None:
    talk = Playlist("A talk", (FIRST, SECOND), "made by a pipeline")
    assert playlists.with_step(talk, THIRD).steps == (FIRST, SECOND, THIRD)
    assert playlists.with_step(talk, THIRD, 1).steps == (THIRD, FIRST, SECOND)
    assert playlists.without_step(talk, 1).steps == (SECOND,)
    assert playlists.with_step_moved(talk, 2, 1).steps == (SECOND, FIRST)
    for change in (
        playlists.with_step(talk, THIRD),
        playlists.without_step(talk, 1),
        playlists.with_step_moved(talk, 1, 2),
    ):
        assert change.made_from == ""  # it is a person's now
    for place in (0, 3):
        with pytest.raises(BadInput, match=f"from 1 to 2: found {place}"):
            playlists.without_step(talk, place)


def test_changes_at_the_same_time_are_all_kept(path: Path) -> None:
    def add(number: int) -> None:
        step = Step("/", f"by {number}")
        change_playlist(path, lambda there: playlists.with_step(there or Playlist("A talk"), step))

    people = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert {step.title for step in read_playlist(path).steps} == {f"by {number}" for number in range(20)}
