"""`loupe playlist` makes, checks and changes playlists; its reports are for people or for programs, and all are documented."""

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from catalog.playlists import read_playlist
from dashboard.presentation import problem
from loaders.errors import BadInput, StoreNotFound
from loaders.workspace import Workspace
from loupe import playlist, showcase
from precompute.progress import Progress

STORE = "tiny-l0@texts"
PAGE = (Path(__file__).parents[2] / "docs" / "presenting.md").read_text()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    playlist.add_verbs(made.add_subparsers(dest="verb"))
    return made


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The tiny workspace with playlists of the test's own."""
    for part in ("datasets", "stores", "saes", "layers"):
        (tmp_path / part).symlink_to(workspace.root / part)
    return Workspace(tmp_path)


@pytest.fixture
def call(own: Workspace) -> Any:
    """Calls a verb; returns its exit code."""

    def run(*words: str) -> int:
        parsed = parser().parse_args(["playlist", *words, "--workspace", str(own.root)])
        return int(parsed.call(parsed))

    return run


@pytest.fixture
def ask(call: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls a verb with --json; returns the exit code and the report."""

    def run(*words: str) -> tuple[int, Any]:
        code = call(*words, "--json")
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_playlist_is_built_rearranged_and_removed_step_by_step(ask: Any, own: Workspace) -> None:
    ask("add", "talk", f"http://127.0.0.1:8050/feature/{STORE}/3?scale=log", "--title", "One", "--named", "A talk")
    ask("add", "talk", "/training", "--title", "Two", "--note", "Say this.")
    _, made = ask("add", "talk", "/layers/tiny", "--title", "Zero", "--at", "1")
    assert [(step["title"], step["url"]) for step in made["steps"]] == [
        ("Zero", "/layers/tiny"), ("One", f"/feature/{STORE}/3?scale=log"), ("Two", "/training"),
    ]  # fmt: skip
    assert (made["title"], made["made_from"]) == ("A talk", None)
    _, moved = ask("move", "talk", "3", "1")
    assert [step["title"] for step in moved["steps"]] == ["Two", "Zero", "One"]
    _, less = ask("remove", "talk", "2")
    assert [step["note"] for step in less["steps"]] == ["Say this.", ""]
    assert ask("list")[1]["playlists"] == [{"name": "talk", "title": "A talk", "steps": 2, "problem": None}]
    assert ask("remove", "talk", "--all") == (0, {"removed": "talk"})
    assert own.playlist_names() == []


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (["show", "talk"], StoreNotFound, "no playlist 'talk'"),
        (["move", "talk", "1", "2"], StoreNotFound, "no playlist 'talk'"),
        (["check", "talk"], StoreNotFound, "no playlist 'talk'"),
        (["show", "Not a name"], BadInput, "no name of a playlist"),
        (["remove", "talk"], BadInput, "Say which step"),
        (["remove", "talk", "1", "--all"], BadInput, "Say which step"),
        (["add", "talk", "/feature/gone@texts/1", "--title", "x"], BadInput, "cannot be presented: There is no store"),
        (["add", "talk", "/nowhere", "--title", "x"], BadInput, "There is no page at '/nowhere'"),
        (["add", "talk", "/training", "--title", " "], BadInput, "title must not be empty"),
        (["add", "talk", "/training", "--title", "x", "--at", "2"], BadInput, "from 1 to 1: found 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_nothing_is_written(call: Any, own: Workspace, words, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        call(*words)
    assert own.playlist_names() == []


def test_a_workspace_that_is_not_there_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for place, sentence in ((str(tmp_path / "gone"), "no workspace at"), ("s3://bucket/space", "can only be read")):
        parsed = parser().parse_args(["playlist", "remove", "talk", "1", "--workspace", place])
        with pytest.raises(BadInput, match=sentence):
            parsed.call(parsed)


def test_check_names_every_step_that_cannot_be_shown(ask: Any, own: Workspace) -> None:
    ask("add", "talk", "/training", "--title", "Here")
    assert ask("check") == (0, {"problems": []})
    path = own.playlist_path("talk")
    document = json.loads(path.read_text())
    document["steps"].append({"url": f"/feature/{STORE}/9999", "title": "Gone"})
    path.write_text(json.dumps(document))
    own.playlist_path("torn").write_text("{")
    code, report = ask("check")
    assert code == 1
    assert [(one["playlist"], one["step"]) for one in report["problems"]] == [("talk", 2), ("torn", None)]
    assert "Feature 9999 does not exist" in report["problems"][0]["problem"]


def test_a_suggestion_is_measured_and_every_step_of_it_can_be_shown(ask: Any, own: Workspace) -> None:
    code, made = ask("suggest", "found")
    assert code == 0 and ask("check", "found") == (0, {"problems": []})
    assert all(problem(own, step["url"]) == "" and step["note"] for step in made["steps"])
    assert {"/layers/tiny", "/training"} <= {step["url"] for step in made["steps"]}
    assert f"/explorer/{own.sets()['tiny'][1]}" in {step["url"] for step in made["steps"]}


def test_what_a_pipeline_chose_is_chosen_anew_and_what_a_person_changed_is_kept(ask: Any, own: Workspace) -> None:
    task, path = showcase.showcase_task(own), own.playlist_path(showcase.NAME)
    task.run(Progress())
    made = read_playlist(path)
    assert made.made_from == showcase.made_from(own)
    path.write_text(path.read_text().replace(made.made_from, "other stores"))
    task.run(Progress())
    assert read_playlist(path) == made
    ask("remove", showcase.NAME, "1")
    changed = read_playlist(path)
    task.run(Progress())
    assert read_playlist(path) == changed
    with pytest.raises(BadInput, match="was made or changed by a person"):
        showcase.write_showcase(own, showcase.NAME, "Anew")


def test_nothing_is_suggested_for_a_workspace_without_stores(own: Workspace) -> None:
    for part in own.root.iterdir():
        part.unlink() if part.is_symlink() else shutil.rmtree(part)
    with pytest.raises(BadInput, match="nothing to present"):
        showcase.write_showcase(own, "found", "Found")
    showcase.showcase_task(own).run(Progress())
    assert own.playlist_names() == []


def test_people_read_the_same_in_words(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call("list")
    call("add", "talk", "/training", "--title", "Curves", "--note", "Say this.")
    call("check")
    call("list")
    said = capsys.readouterr().out
    assert said.startswith("There is no playlist yet.\n")
    assert "  1  Curves  /training\n     Say this.\nEvery step can be shown.\ntalk: talk (1 steps)\n" in said


def test_every_verb_option_and_key_is_documented(ask: Any) -> None:
    (own,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    (verbs,) = (a for a in own.choices["playlist"]._actions if isinstance(a, argparse._SubParsersAction))
    for name, verb in verbs.choices.items():
        assert f"`loupe playlist {name}" in PAGE
        for action in verb._actions:
            assert all(option in PAGE for option in action.option_strings if option not in ("-h", "--help")), name
    reports = [ask("add", "talk", "/training", "--title", "x")[1], ask("list")[1], ask("check")[1]]
    keys = set(re.findall(r'"(\w+)":', json.dumps(reports)))
    assert {key for key in keys if f"`{key}`" not in PAGE} == set()
