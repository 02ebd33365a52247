"""Playlists: an ordered list of views to present, each one small JSON file of the workspace that people may edit by hand."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loaders.errors import BadInput, StoreDamaged, StoreNotFound

KIND = "playlist"
VERSION = 1
MOST_STEPS = 500
LIMITS = {"title": 200, "url": 4_000, "note": 4_000}
FIELDS = {"kind", "schema_version", "title", "made_from", "steps"}
LARGEST_FILE = 8 * 2**20  # bytes


class Step(NamedTuple):
    """One view: an address of this site (path and query), the title shown with it, and what to say, if anything."""

    url: str
    title: str
    note: str = ""


class Playlist(NamedTuple):
    """`made_from`: what a pipeline chose the steps from, which lets it choose anew; "" once a person has changed them."""

    title: str
    steps: tuple[Step, ...] = ()
    made_from: str = ""


def read_playlist(path: Path) -> Playlist:
    """Raises StoreNotFound where there is none, StoreDamaged with the place and the problem for a file that is not one."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise StoreDamaged(f"'{path}' is too large for a playlist ({path.stat().st_size:,} bytes).")
        return parse_playlist(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StoreNotFound(f"There is no playlist '{path.stem}'. Make one with `loupe playlist add`.") from None
    except json.JSONDecodeError as error:
        raise StoreDamaged(f"'{path}' is not JSON (line {error.lineno}: {error.msg}). Correct that line.") from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"'{path}' cannot be read ({error}). Restore it, or remove it.") from error
    except BadInput as error:
        raise StoreDamaged(f"'{path}' is no playlist: {error}") from error


def parse_playlist(found: Any) -> Playlist:
    """The playlist of a JSON document; raises BadInput with the field, what it holds and what it must."""
    if not isinstance(found, dict):
        raise BadInput(f"wanted an object with title and steps, found {_shown(found)}.")
    if found.get("kind") != KIND or found.get("schema_version") != VERSION:
        found_words = f"{_shown(found.get('kind'))} and {_shown(found.get('schema_version'))}"
        raise BadInput(f'wanted "kind": "{KIND}" and "schema_version": {VERSION}, found {found_words}.')
    _refuse_others(found, FIELDS, "the playlist")
    steps = found.get("steps")
    if not isinstance(steps, list):
        raise BadInput(f"steps must be a list, found {_shown(steps)}.")
    made = Playlist(
        _text(found, "title", "title"),
        tuple(_step(step, f"step {place}") for place, step in enumerate(steps, 1)),
        str(found.get("made_from", "")),
    )
    return check_playlist(made)


def check_playlist(playlist: Playlist) -> Playlist:
    """The same playlist; raises BadInput for a text that is too long, an address of another site or too many steps."""
    if len(playlist.steps) > MOST_STEPS:
        raise BadInput(f"a playlist has at most {MOST_STEPS} steps, found {len(playlist.steps):,}.")
    _check_text(playlist.title, "title", "title")
    for place, step in enumerate(playlist.steps, 1):
        for name in ("title", "url", "note"):
            _check_text(getattr(step, name), name, f"step {place}: {name}")
        parts = urlsplit(step.url)
        is_here = step.url.startswith("/") and not step.url.startswith(("//", "/\\")) and not parts.netloc
        if not is_here or not step.url.isprintable():
            raise BadInput(
                f"step {place}: url must be a path of this site such as /training, found {_shown(step.url)}."
            )
    return playlist


def change_playlist(path: Path, change: Callable[[Playlist | None], Playlist]) -> Playlist:
    """Replace a playlist by what `change` makes of it (None: there is none yet), whole or not at all.

    Changes of several people wait for each other, so that none is lost. Raises BadInput and writes nothing where the
    result is no playlist.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.parent):
        made = check_playlist(change(read_playlist(path) if path.exists() else None))
        partial = path.with_name(f".{path.name}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(json.dumps(as_json(made), indent=1, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    return made


def remove_playlist(path: Path) -> None:
    """Remove a whole playlist; raises StoreNotFound where there is none."""
    if not path.exists():
        raise StoreNotFound(f"There is no playlist '{path.stem}'.")
    with _held(path.parent):
        path.unlink(missing_ok=True)


def with_step(playlist: Playlist, step: Step, place: int | None = None) -> Playlist:
    """With a further step at a place (from 1), or as the last one."""
    at = len(playlist.steps) if place is None else _index(playlist, place, len(playlist.steps) + 1)
    return Playlist(playlist.title, (*playlist.steps[:at], step, *playlist.steps[at:]))


def without_step(playlist: Playlist, place: int) -> Playlist:
    """Without the step at a place (from 1)."""
    at = _index(playlist, place, len(playlist.steps))
    return Playlist(playlist.title, playlist.steps[:at] + playlist.steps[at + 1 :])


def with_step_moved(playlist: Playlist, place: int, to: int) -> Playlist:
    """With the step of a place (from 1) at another one."""
    step = playlist.steps[_index(playlist, place, len(playlist.steps))]
    return with_step(without_step(playlist, place), step, to)


def _index(playlist: Playlist, place: int, most: int) -> int:
    if not 1 <= place <= most:
        raise BadInput(f"A place in '{playlist.title}' is a number from 1 to {most}: found {place}.")
    return place - 1


def as_json(playlist: Playlist) -> dict[str, Any]:
    """What the file holds."""
    steps = [{name: value for name, value in step._asdict().items() if value} for step in playlist.steps]
    made_from = {"made_from": playlist.made_from} if playlist.made_from else {}
    return {"kind": KIND, "schema_version": VERSION, "title": playlist.title, **made_from, "steps": steps}


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with open(folder / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _step(found: Any, where: str) -> Step:
    if not isinstance(found, dict):
        raise BadInput(f"{where} must be an object with url and title, found {_shown(found)}.")
    _refuse_others(found, set(Step._fields), where)
    note = _text(found, "note", f"{where}: note") if "note" in found else ""
    return Step(_text(found, "url", f"{where}: url"), _text(found, "title", f"{where}: title"), note)


def _text(found: dict[str, Any], name: str, where: str) -> str:
    if not isinstance(found.get(name), str):
        raise BadInput(f"{where} must be a text, found {_shown(found.get(name))}.")
    return str(found[name])


def _check_text(text: str, name: str, where: str) -> None:
    if len(text) > LIMITS[name]:
        raise BadInput(f"{where} may have at most {LIMITS[name]:,} characters, found {len(text):,}.")
    if name != "note" and not text.strip():
        raise BadInput(f"{where} must not be empty.")


def _refuse_others(found: dict[str, Any], known: set[str], where: str) -> None:
    if others := sorted(set(map(str, found)) - known):
        raise BadInput(f"{where} has an unknown field {_shown(others[0])}; known are {', '.join(sorted(known))}.")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
