"""YAML with line numbers, from the parser's events: plain data only, so anchors, aliases and tags are refused.

Words without quotes mean what YAML 1.2's core schema says: `no` and `2024-05-01` are texts.
"""

import re
from typing import Any

import yaml

from catalog.dictionary.decoding import Lines
from catalog.dictionary.node import MOST_DEPTH, MOST_NODES, Node
from catalog.dictionary.problems import Unreadable

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTHING = ("", "~", "null", "Null", "NULL")
_FLAGS = {**dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False)}
_WHOLE = re.compile(r"[-+]?[0-9]{1,400}")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def parse_yaml(text: str) -> Node:
    """The one document of the text. Raises Unreadable with the line where it is no YAML, or none that is taken."""
    lines = Lines(text)
    if found := _FORBIDDEN.search(text):
        raise Unreadable(lines.at(found.start()), f"holds U+{ord(found[0]):04X}, which YAML does not allow; remove it")
    try:
        return _build(text, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = lines.at(mark.index) if mark else 1
        raise Unreadable(line, f"is not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise Unreadable(0, f"is not valid YAML ({error})") from error


def _build(text: str, lines: Lines) -> Node:
    open_nodes: list[tuple[str, list[Node], int]] = []  # kind, what it holds so far, line
    whole: Node | None = None
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = lines.at(event.start_mark.index)
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(line, f"holds the alias *{event.anchor}: write the value itself")
        if isinstance(event, yaml.DocumentStartEvent) and whole is not None:
            raise Unreadable(line, "holds a second document: keep one")
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            _refuse_extras(event, line)
            if nodes > MOST_NODES:
                raise Unreadable(line, f"holds more than {MOST_NODES:,} values: split the file")
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) > MOST_DEPTH:
                raise Unreadable(line, f"nests deeper than {MOST_DEPTH} levels")
            open_nodes.append(("object" if isinstance(event, yaml.MappingStartEvent) else "list", [], line))
            continue
        if isinstance(event, yaml.ScalarEvent):
            made = _scalar(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            made = _close(*open_nodes.pop())
        else:
            continue
        if open_nodes:
            open_nodes[-1][1].append(made)
        else:
            whole = made
    return whole if whole is not None else Node("nothing", None, 1)


def _refuse_extras(event: Any, line: int) -> None:
    if event.anchor is not None:
        raise Unreadable(line, f"holds the anchor &{event.anchor}: write values out where they are meant")
    if event.tag is not None:
        raise Unreadable(line, f"holds the tag {event.tag[:60]}: only plain values are read")


def _close(kind: str, held: list[Node], line: int) -> Node:
    return Node(kind, list(zip(held[::2], held[1::2], strict=True)) if kind == "object" else held, line)


def _scalar(event: Any, line: int) -> Node:
    text = event.value
    if event.implicit[0]:  # written without quotes
        if text in _NOTHING:
            return Node("nothing", None, line)
        if text in _FLAGS:
            return Node("flag", _FLAGS[text], line)
        if _WHOLE.fullmatch(text):
            return Node("number", int(text), line)
        if len(text) <= 400 and _DECIMAL.fullmatch(text):
            return Node("number", float(text), line)
    return Node("text", text, line)
