"""The verbs of playlists: list, show, check, add, remove, move and suggest. Parse, call, print."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.playlists import (
    Playlist,
    Step,
    change_playlist,
    read_playlist,
    remove_playlist,
    with_step,
    with_step_moved,
    without_step,
)
from dashboard import urls
from dashboard.presentation import problem
from loaders.errors import BadInput, LoupeError, StoreNotFound
from loaders.mirror import is_url
from loaders.workspace import Workspace
from loupe.model_facts import as_json


def add_verbs(verbs: Any) -> None:
    """Register `playlist` and its own verbs with an argparse object of subparsers; each sets `call`."""
    text = "ordered views to present to visitors"
    own = verbs.add_parser("playlist", help=text, description=text).add_subparsers(dest="playlist_verb", required=True)
    _add(own, "list", "the playlists of the workspace", _list)
    _named(_add(own, "show", "the steps of a playlist", _show))
    check = _add(own, "check", "whether every step of the playlists can be shown; exit code 1 where one cannot", _check)
    check.add_argument("names", nargs="*", metavar="NAME", help="default: all playlists")
    add = _named(_add(own, "add", "add a view; the first one begins the playlist", _add_step))
    add.add_argument("url", metavar="URL", help="address of a view, as the browser shows it; its host is left out")
    add.add_argument("--title", required=True, help="shown while the step is presented")
    add.add_argument("--note", default="", help="what to say, shown on the key n")
    add.add_argument("--at", type=int, metavar="PLACE", help="place of the step, from 1 (default: the last)")
    add.add_argument("--named", metavar="TITLE", help="title of a playlist that begins here (default: its name)")
    remove = _named(_add(own, "remove", "remove one step, or with --all the playlist", _remove))
    remove.add_argument("place", nargs="?", type=int, metavar="PLACE", help="place of the step, from 1")
    remove.add_argument("--all", action="store_true", help="the whole playlist")
    move = _named(_add(own, "move", "move a step to another place", _move))
    move.add_argument("place", type=int, metavar="PLACE", help="place of the step, from 1")
    move.add_argument("to", type=int, metavar="TO", help="its new place")
    suggest = _named(_add(own, "suggest", "make a playlist of what was measured to be worth showing", _suggest))
    suggest.add_argument("--title", default="What was found", help="title of the playlist")


def _add(verbs: Any, name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("--workspace", default="workspace", help="the workspace's directory (default: workspace)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(call=call)
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="of the playlist: [a-z0-9._-]")
    return parser


def _workspace(parsed: argparse.Namespace, *, to_write: bool = False) -> Workspace:
    if is_url(parsed.workspace):
        if to_write:
            raise BadInput(
                f"'{parsed.workspace}' can only be read. Change the playlist in a directory and copy it there."
            )
    elif not Path(parsed.workspace).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{parsed.workspace}'. Build one with `loupe demo` or `loupe build`.")
    return Workspace(parsed.workspace)


def facts(workspace: Workspace, name: str, playlist: Playlist) -> dict[str, Any]:
    """A playlist as `--json` prints it: each step with why it cannot be shown, or null."""
    steps = [{**step._asdict(), "problem": problem(workspace, step.url) or None} for step in playlist.steps]
    return {"name": name, "title": playlist.title, "made_from": playlist.made_from or None, "steps": steps}


def _say(report: dict[str, Any]) -> str:
    lines = [f"{report['name']}: {report['title']}"]
    for place, step in enumerate(report["steps"], 1):
        lines.append(f"{place:>3}  {step['title']}  {step['url']}")
        lines += [f"     {text}" for text in (step["note"], step["problem"] and f"! {step['problem']}") if text]
    return "\n".join(lines)


def _print(parsed: argparse.Namespace, workspace: Workspace, playlist: Playlist) -> int:
    report = facts(workspace, parsed.name, playlist)
    print(as_json(report) if parsed.json else _say(report))
    return 0


def _list(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed)
    found = []
    for name in workspace.playlist_names():
        try:
            playlist = read_playlist(workspace.playlist_path(name))
            found.append({"name": name, "title": playlist.title, "steps": len(playlist.steps), "problem": None})
        except LoupeError as error:
            found.append({"name": name, "title": None, "steps": None, "problem": str(error)})
    lines = [f"{one['name']}: {one['problem'] or one['title']} ({one['steps'] or 0} steps)" for one in found]
    print(as_json({"playlists": found}) if parsed.json else "\n".join(lines) or "There is no playlist yet.")
    return 0


def _show(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed)
    return _print(parsed, workspace, read_playlist(workspace.playlist_path(parsed.name)))


def _check(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed)
    problems = []
    for name in parsed.names or workspace.playlist_names():
        try:
            playlist = read_playlist(workspace.playlist_path(name))
        except StoreNotFound:
            raise
        except LoupeError as error:
            problems.append({"playlist": name, "step": None, "problem": str(error)})
            continue
        steps = facts(workspace, name, playlist)["steps"]
        problems += [
            {"playlist": name, "step": place, "problem": step["problem"]}
            for place, step in enumerate(steps, 1)
            if step["problem"]
        ]
    lines = [f"{one['playlist']}, step {one['step']}: {one['problem']}" for one in problems]
    print(as_json({"problems": problems}) if parsed.json else "\n".join(lines) or "Every step can be shown.")
    return 1 if problems else 0


def _add_step(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed, to_write=True)
    step = Step(urls.view(parsed.url), parsed.title, parsed.note)
    if found := problem(workspace, step.url):
        raise BadInput(f"This view cannot be presented: {found}")
    path, title = workspace.playlist_path(parsed.name), parsed.named or parsed.name
    made = change_playlist(path, lambda there: with_step(there or Playlist(title), step, parsed.at))
    return _print(parsed, workspace, made)


def _remove(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed, to_write=True)
    if parsed.all == (parsed.place is not None):
        raise BadInput("Say which step to remove by its place, or --all for the whole playlist.")
    if parsed.all:
        remove_playlist(workspace.playlist_path(parsed.name))
        print(as_json({"removed": parsed.name}) if parsed.json else f"Playlist '{parsed.name}' is removed.")
        return 0
    return _print(parsed, workspace, _changed(workspace, parsed.name, lambda there: without_step(there, parsed.place)))


def _move(parsed: argparse.Namespace) -> int:
    workspace = _workspace(parsed, to_write=True)
    made = _changed(workspace, parsed.name, lambda there: with_step_moved(there, parsed.place, parsed.to))
    return _print(parsed, workspace, made)


def _changed(workspace: Workspace, name: str, change: Callable[[Playlist], Playlist]) -> Playlist:
    path = workspace.playlist_path(name)
    read_playlist(path)  # says so where there is none
    return change_playlist(path, lambda there: change(there or read_playlist(path)))


def _suggest(parsed: argparse.Namespace) -> int:
    from loupe.showcase import write_showcase

    workspace = _workspace(parsed, to_write=True)
    return _print(parsed, workspace, write_showcase(workspace, parsed.name, parsed.title))
