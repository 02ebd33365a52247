"""CSV files as rows of nodes with true line numbers, and Loupe's own dictionary in that form."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

from catalog.dictionary import fields
from catalog.dictionary.entry import TEXT_FIELDS, Dictionary, Entry, Source
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems, Unreadable

COLUMNS = (
    "feature",
    *TEXT_FIELDS,
    "author",
    "created_at",
    "version",
    "is_old",
    "sae",
    "fingerprint",
)
NEEDED = ("feature", "name")
_FORMULA = r"(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])"
_RISKY = re.compile(rf"'*{_FORMULA}")
_GUARDED = re.compile(rf"'+{_FORMULA}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)


def guard(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: where it could be one, an apostrophe goes before it."""
    return f"'{text}" if _RISKY.match(text) else text


def unguard(text: str) -> str:
    """What `guard` was given."""
    return text[1:] if _GUARDED.match(text) else text


class Row(NamedTuple):
    """The cells of one row by column, and the line where it begins."""

    cells: dict[str, str]
    line: int


def header_of(text: str) -> list[str]:
    """The names in the first row, however it is separated."""
    first = text.split("\n", 1)[0].split("\r", 1)[0]
    return [name.strip().strip('"').strip().lower() for name in first.split(_separator(first))]


def _separator(first: str) -> str:
    return max(",;\t", key=first.count)


def rows_of(text: str, needed: tuple[str, ...], known: tuple[str, ...], problems: Problems) -> Iterator[Row]:
    """The rows below the header; blank ones are passed over. Rows with another number of cells are problems.

    Raises Unreadable where a quote is not closed or the header lacks a needed column.
    """
    names = header_of(text)
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise Unreadable(1, f"has no column '{lacking[0]}': wanted {', '.join(known)}")
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(1, f"the column '{name}' is there twice")
    for name in names:
        if name not in known:
            problems.add(1, f"the column {name[:40]!r} is unknown: wanted {', '.join(known)}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text.split("\n", 1)[0]), strict=True)
    line = 1
    try:
        for number, cells in enumerate(reader):
            begins, line = line, reader.line_num + 1
            if number == 0 or not any(cells):
                continue
            if len(cells) != len(names):
                problems.add(begins, f"the row has {len(cells)} cells, the header {len(names)}")
                continue
            yield Row(dict(zip(names, cells, strict=True)), begins)
    except csv.Error as error:
        raise Unreadable(line, f"is not valid CSV: {error}") from error


def number_node(text: str, line: int) -> Node:
    """A cell that should hold a number; an empty one is null."""
    text = text.strip()
    if not text:
        return Node("nothing", None, line)
    if len(text) <= 400 and _NUMBER.fullmatch(text):
        is_whole = text.lstrip("+-").isdigit()
        return Node("number", int(text) if is_whole else float(text), line)
    return Node("text", text, line)


def read_csv(text: str, features: int, problems: Problems) -> Dictionary:
    """Loupe's own dictionary as CSV: a row for each label, and one for each older version where `is_old` says so."""
    entries: dict[int, Entry] = {}
    earlier: dict[int, list[Entry]] = {}
    sources: dict[Source, int] = {}
    silent = 0
    for cells, line in rows_of(text, NEEDED, COLUMNS, problems):
        feature = fields.feature_of(Node("text", cells["feature"], line), features, problems)
        entry = _entry(feature or 0, cells, line, problems)
        sources.setdefault(Source(cells.get("sae") or None, cells.get("fingerprint") or None), line)
        if feature is None:
            continue
        if cells.get("is_old", "").strip() not in ("", "yes"):
            problems.add(line, f"is_old must be yes or empty: found {cells['is_old'][:40]!r}")
        elif cells.get("is_old"):
            earlier.setdefault(feature, []).append(entry)
        elif fields.require_name(entry.values, line, problems):
            fields.take(entries, feature, entry, problems)
        elif entry.values.get("name") == "":
            silent += 1
    for source, line in list(sources.items())[1:]:
        problems.add(
            line, f"the row is of another SAE ({source.sae_id or source.fingerprint or 'none'}) than those above"
        )
    for feature, old in earlier.items():
        if feature in entries:
            entries[feature] = entries[feature]._replace(earlier=tuple(old))
        else:
            problems.add(old[0].line, f"feature {feature} has older versions and no newest one")
    remarks = (f"{silent:,} rows say nothing and were passed over",) if silent else ()
    return Dictionary("csv", next(iter(sources), Source()), entries, remarks)


def _entry(feature: int, cells: dict[str, str], line: int, problems: Problems) -> Entry:
    nodes = {name: Node("text", unguard(cell), line) for name, cell in cells.items()}
    nodes |= {name: number_node(cells[name], line) for name in ("confidence", "version") if name in cells}
    values = {name: read(nodes[name], problems) for name, read in fields.READERS.items() if name in nodes}
    return Entry(
        feature,
        values,
        author=fields.text_of(nodes["author"], "author", problems) or None if "author" in nodes else None,
        created_at=fields.moment_of(nodes["created_at"], "created_at", problems) if "created_at" in nodes else None,
        version=fields.version_of(nodes["version"], problems) if "version" in nodes else None,
        line=line,
    )
