"""Writes entries as a dictionary file: JSON, CSV, YAML, or Neuronpedia's explanations."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from catalog.dictionary.csv_rows import COLUMNS, guard
from catalog.dictionary.documents import FORMAT_VERSION
from catalog.dictionary.entry import TEXT_FIELDS, Entry, Source
from catalog.dictionary.neuronpedia import Place, explanation_row


def to_json(entries: Sequence[Entry], source: Source) -> bytes:
    """Loupe's dictionary as JSON, a field a line."""
    return (json.dumps(_document(entries, source), ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()


def to_yaml(entries: Sequence[Entry], source: Source) -> bytes:
    """Loupe's dictionary as YAML: texts in double quotes, those of several plain lines as blocks."""
    document = _document(entries, source)
    return ("\n".join(_yaml_lines(document, 0)) + "\n").encode()


def to_csv(entries: Sequence[Entry], source: Source) -> bytes:
    """Loupe's dictionary as CSV, a row a label; no cell is a formula to a spreadsheet."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        for is_old, each in [*((True, old) for old in entry.earlier), (False, entry)]:
            cells = {"feature": entry.feature_id, **_fields(each), "is_old": "yes" if is_old else ""}
            cells |= {"sae": source.sae_id, "fingerprint": source.fingerprint}
            writer.writerow([_cell(cells.get(column)) for column in COLUMNS])
    return rows.getvalue().encode()


def to_explanations(entries: Sequence[Entry], source: Source, place: Place) -> bytes:
    """Neuronpedia's explanations, a row a version, the older ones first."""
    lines = []
    for entry in entries:
        for number, each in enumerate([*entry.earlier, entry]):
            key = f"{source.fingerprint} {each.version} {number}"
            name, notes = each.values.get("name", ""), each.values.get("notes", "")
            row = explanation_row(*place[:2], entry.feature_id, name, notes, each.created_at, place.creator, key)
            lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
    return "".join(lines).encode()


def pack(data: bytes) -> bytes:
    """The same, gzipped; equal data gives equal bytes."""
    return gzip.compress(data, 6, mtime=0)


WRITERS: dict[str, Callable[[Sequence[Entry], Source], bytes]] = {"json": to_json, "csv": to_csv, "yaml": to_yaml}
"""By the name of the format; Neuronpedia's needs a place as well."""


def write_dictionary(kind: str, entries: Sequence[Entry], source: Source, place: Place) -> bytes:
    """The file's bytes in one of the formats of TYPES."""
    return to_explanations(entries, source, place) if kind == "neuronpedia" else WRITERS[kind](entries, source)


TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "yaml": "application/yaml",
    "neuronpedia": "application/x-ndjson",
}
"""Media type of each format that can be written."""
SUFFIXES = {"json": ".json", "csv": ".csv", "yaml": ".yaml", "neuronpedia": ".jsonl"}


def _document(entries: Sequence[Entry], source: Source) -> dict[str, Any]:
    said = {"sae": source.sae_id, "fingerprint": source.fingerprint, "features": source.features}
    labels = {str(entry.feature_id): _with_history(entry) for entry in entries}
    return {"loupe": "labels", "format": FORMAT_VERSION, **said, "labels": labels}


def _with_history(entry: Entry) -> dict[str, Any]:
    return {**_fields(entry), **({"history": [_fields(old) for old in entry.earlier]} if entry.earlier else {})}


def _fields(entry: Entry) -> dict[str, Any]:
    """What an entry states, in the order of the format; facts that are not known are left out."""
    values = {field: entry.values[field] for field in TEXT_FIELDS if field in entry.values}
    moment = entry.created_at.isoformat() if isinstance(entry.created_at, datetime) else None
    facts = {"author": entry.author, "created_at": moment, "version": entry.version}
    return values | {name: value for name, value in facts.items() if value is not None}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return guard(value) if isinstance(value, str) else repr(value)


def _yaml_lines(node: dict[str, Any], depth: int) -> list[str]:
    indent, lines = "  " * depth, []
    for key, value in node.items():
        name = f"{indent}{key if not key.isdigit() else json.dumps(key)}:"
        if isinstance(value, dict):
            lines += [name, *_yaml_lines(value, depth + 1)] if value else [f"{name} {{}}"]
        elif isinstance(value, list):
            lines.append(name)
            for each in value:
                first, *rest = _yaml_lines(each, depth + 2)
                lines += [f"{indent}  - {first.lstrip(' ')}", *rest]
        elif isinstance(value, str) and _is_block(value):
            lines += [f"{name} |-", *(f"{indent}  {line}" for line in value.split("\n"))]
        else:
            lines.append(f"{name} {_yaml_scalar(value)}")
    return lines


def _is_block(text: str) -> bool:
    """Whether YAML keeps the text as it is in a block: several lines, none blank or padded, nothing unprintable."""
    lines = text.split("\n")
    return len(lines) > 1 and all(line and line == line.strip() and line.isprintable() for line in lines)


def _yaml_scalar(value: Any) -> str:
    """JSON's form, with what YAML does not read as it is escaped."""
    quoted = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "." not in quoted:
        quoted = quoted.replace("e", ".0e")  # YAML 1.1 takes 1e-05 for a text
    return "".join(c if c.isprintable() else _escaped(c) for c in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
