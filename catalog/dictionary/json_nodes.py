"""JSON with line numbers: a walk that keeps where every value stands; the standard library reads each single string."""

import json
import re
from typing import Any

from catalog.dictionary.decoding import Lines
from catalog.dictionary.node import MOST_DEPTH, MOST_NODES, Node
from catalog.dictionary.problems import Unreadable

_WHITE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"')
_NO_STRING = re.compile(r"[\x00-\x1f]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: dict[str, tuple[str, Any]] = {"true": ("flag", True), "false": ("flag", False), "null": ("nothing", None)}
LONGEST_NUMBER = 400


def parse_json(text: str, first_line: int = 1) -> Node:
    """The one value that the text is. Raises Unreadable with the line where it is no JSON."""
    return _Walk(text, first_line).whole()


class _Walk:
    def __init__(self, text: str, first_line: int) -> None:
        self._text, self._lines, self._before = text, Lines(text), first_line - 1
        self._nodes = 0

    def whole(self) -> Node:
        found, at = self._value(self._skip(0), 0)
        if at != len(self._text):
            raise self._wrong(at, "more follows after the end of the JSON value")
        return found

    def _line(self, at: int) -> int:
        return self._lines.at(at) + self._before

    def _wrong(self, at: int, what: str) -> Unreadable:
        return Unreadable(self._line(at), f"is not valid JSON: {what}")

    def _skip(self, at: int) -> int:
        found = _WHITE.match(self._text, at)
        return found.end() if found else at

    def _value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that begins at `at`, and the place after it and the white space behind it."""
        self._nodes += 1
        if depth > MOST_DEPTH:
            raise Unreadable(self._line(at), f"nests deeper than {MOST_DEPTH} levels")
        if self._nodes > MOST_NODES:
            raise Unreadable(self._line(at), f"holds more than {MOST_NODES:,} values: split the file")
        line, start = self._line(at), self._text[at : at + 1]
        if start == '"':
            value, after = self._string(at)
            return Node("text", value, line), self._skip(after)
        if start == "{":
            return self._object(at, line, depth)
        if start == "[":
            return self._list(at, line, depth)
        for word, (kind, value) in _WORDS.items():
            if self._text.startswith(word, at):
                return Node(kind, value, line), self._skip(at + len(word))
        return self._number(at, line)

    def _string(self, at: int) -> tuple[str, int]:
        found = _STRING.match(self._text, at)
        if not found:
            stops = _NO_STRING.search(self._text, at + 1)
            is_control = stops is not None and stops[0] not in "\n\r"
            raise self._wrong(at, "a text holds a control character" if is_control else "a text has no closing quote")
        try:
            return str(json.loads(found[0])), found.end()
        except json.JSONDecodeError as error:
            raise self._wrong(at + error.pos, error.msg.lower()) from error

    def _number(self, at: int, line: int) -> tuple[Node, int]:
        found = _NUMBER.match(self._text, at)
        if not found:
            there = self._text[at : at + 12].split("\n")[0]
            raise self._wrong(
                at, f"a value was wanted, found {there!r}" if there else "it ends where a value was wanted"
            )
        if len(found[0]) > LONGEST_NUMBER:
            raise self._wrong(at, f"a number has more than {LONGEST_NUMBER} digits")
        is_whole = found[1] is None and found[2] is None
        return Node("number", int(found[0]) if is_whole else float(found[0]), line), self._skip(found.end())

    def _list(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        at = self._skip(at + 1)
        if self._text[at : at + 1] == "]":
            return Node("list", items, line), self._skip(at + 1)
        while True:
            item, at = self._value(at, depth + 1)
            items.append(item)
            sign = self._text[at : at + 1]
            if sign == "]":
                return Node("list", items, line), self._skip(at + 1)
            if sign != ",":
                raise self._wrong(at, "',' or ']' was wanted in a list")
            at = self._skip(at + 1)

    def _object(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        members: list[tuple[Node, Node]] = []
        at = self._skip(at + 1)
        if self._text[at : at + 1] == "}":
            return Node("object", members, line), self._skip(at + 1)
        while True:
            if self._text[at : at + 1] != '"':
                raise self._wrong(at, "a key in double quotes was wanted in an object")
            key_line = self._line(at)
            key, at = self._string(at)
            at = self._skip(at)
            if self._text[at : at + 1] != ":":
                raise self._wrong(at, f"':' was wanted after the key {key[:40]!r}")
            value, at = self._value(self._skip(at + 1), depth + 1)
            members.append((Node("text", key, key_line), value))
            sign = self._text[at : at + 1]
            if sign == "}":
                return Node("object", members, line), self._skip(at + 1)
            if sign != ",":
                raise self._wrong(at, "',' or '}' was wanted in an object")
            at = self._skip(at + 1)
