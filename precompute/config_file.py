"""Settings of a step in a TOML file: read with every value checked against the step's dataclass, and written back."""

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from loaders.errors import BadInput

MOST_BYTES = 1 << 20
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}


class FieldType(typing.NamedTuple):
    """What a field holds: `kind` int, float, str or bool, several of them or one, of `choices` where there are any."""

    kind: type
    is_many: bool = False
    may_be_none: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        """In the user's words, e.g. "a list, each a whole number"."""
        one = f"one of {', '.join(map(repr, self.choices))}" if self.choices else WORDS[self.kind]
        return f"a list, each {one}" if self.is_many else one


def field_type(hint: Any) -> FieldType | None:
    """Understand a type hint; None for what only code can pass."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [part for part in arguments if part is not types.NoneType]
        found = field_type(parts[0]) if len(parts) == 1 else None
        return found and found._replace(may_be_none=len(parts) < len(arguments))
    if origin is tuple:
        found = field_type(arguments[0]) if arguments else None
        return None if found is None or found.is_many else found._replace(is_many=True)
    if origin is typing.Literal:
        return FieldType(type(arguments[0]), choices=arguments)
    return FieldType(hint) if hint in WORDS else None


def field_types(config: type) -> dict[str, FieldType]:
    """The fields of a dataclass that a file or a command line can give."""
    hints = typing.get_type_hints(config)
    found = {field.name: field_type(hints[field.name]) for field in dataclasses.fields(config)}
    return {name: kind for name, kind in found.items() if kind is not None}


def read_config(path: Path, config: type, section: str) -> dict[str, Any]:
    """The settings that a file gives, by field: at its top, or in the table [`section`], which is the step's verb.

    Raises BadInput, with the file and the line, for TOML that is none, a key that is no field (naming the nearest), a value
    of another type, and any other table.
    """
    text = _read(path)
    try:
        found = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of too many digits
        raise BadInput(f"'{path}' is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise BadInput(f"'{path}' is not valid TOML: it is nested too deeply.") from error
    given = dict(found)
    own = given.pop(section) if isinstance(given.get(section), dict) else {}
    for key in own.keys() & given.keys():
        raise BadInput(f"{_place(path, text, key, section)}: '{key}' stands outside of [{section}] too. Give it once.")
    known = field_types(config)
    values = {}
    for key, value in {**given, **own}.items():
        place = _place(path, text, key, section if key in own else None)
        if isinstance(value, dict):
            raise BadInput(f"{place}: there is a table '{key}'; only [{section}] may be one. Give settings by name.")
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0) or sorted(known)[:1]
            raise BadInput(f"{place}: '{key}' is no setting of `loupe {section}`. The nearest is '{nearest[0]}'.")
        values[key] = _checked(value, known[key], f"{place}: {key}")
    return values


def write_config(path: Path, config: Any) -> None:
    """Write the settings of a dataclass so that `read_config` gives them back; those that are None are left out.

    Under a temporary name first. Raises BadInput for a value that such a file cannot hold.
    """
    known, lines = field_types(type(config)), []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in known and value is not None:
            lines.append(f"{field.name} = {_as_toml(value, field.name)}\n")
        elif value != field.default:
            raise BadInput(f"Setting '{field.name}' is {value!r}, which a file of settings cannot hold.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(path)


def _read(path: Path) -> str:
    if not path.is_file():
        raise BadInput(f"There is no file of settings at '{path}'.")
    if path.stat().st_size > MOST_BYTES:
        raise BadInput(f"'{path}' has {path.stat().st_size:,} bytes: too many for a file of settings.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"'{path}' is not UTF-8 text ({error}). Save it as UTF-8.") from error


def _checked(value: Any, wanted: FieldType, place: str) -> Any:
    """The value as the field's type; whole numbers are numbers too, and nothing else is converted."""
    if not wanted.is_many:
        return _one(value, wanted, place, value)
    if not isinstance(value, list):
        raise _wrong(place, wanted, value)
    return tuple(_one(part, wanted, place, value) for part in value)


def _one(value: Any, wanted: FieldType, place: str, found: Any) -> Any:
    is_right = type(value) is wanted.kind or (wanted.kind is float and type(value) is int)
    if not is_right or (wanted.choices and value not in wanted.choices):
        raise _wrong(place, wanted, found)
    try:
        return wanted.kind(value)
    except OverflowError as error:
        raise _wrong(place, wanted, found) from error


def _wrong(place: str, wanted: FieldType, found: Any) -> BadInput:
    return BadInput(f"{place} must be {wanted.words}: found {_said(found)}.")


def _said(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=True)[:100]
    except TypeError:  # dates and times
        return str(value)[:100]


def _place(path: Path, text: str, key: str, section: str | None) -> str:
    line = _line_of(text, key, section)
    return f"'{path}', line {line}" if line else f"'{path}'"


def _line_of(text: str, key: str, section: str | None) -> int | None:
    """The line, counted from 1, on which a key is first given; None where it is written in an unusual way.

    That is the first line that starts with the key, before which everything is a whole document without it, and after which
    one with it: a line inside of a longer text or list is not.
    """
    lines = text.splitlines(keepends=True)
    within = re.escape(section or key)
    written = re.compile(rf"""\s*(\[+\s*)?(["']?{within}["']?\s*\.\s*)?["']?{re.escape(key)}""")
    for number in (number for number, line in enumerate(lines) if written.match(line)):
        documents = (_parsed("".join(lines[:stop])) for stop in range(number, len(lines) + 1))
        before = next(documents)
        after = next((document for document in documents if document is not None), None)
        if (
            before is not None
            and after is not None
            and not _holds(before, key, section)
            and _holds(after, key, section)
        ):
            return number + 1
    return None


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None


def _holds(document: dict[str, Any], key: str, section: str | None) -> bool:
    table = document.get(section, {}) if section else document
    return isinstance(table, dict) and key in table


def _as_toml(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        return f"[{', '.join(_as_toml(part, name) for part in value)}]"
    raise BadInput(f"Setting '{name}' is {value!r}, which a file of settings cannot hold.")
