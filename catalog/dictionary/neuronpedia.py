"""Neuronpedia's explanations: one JSON object a line, as labels and back. The bundle around them is precompute's."""

import hashlib
import unicodedata
from datetime import datetime
from typing import Any, NamedTuple

from catalog.dictionary import fields
from catalog.dictionary.entry import Dictionary, Entry, Source
from catalog.dictionary.json_nodes import parse_json
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems, Unreadable
from catalog.labels import AUTHOR_LIMIT, NAME_LIMIT, NOTES_LIMIT

EXPLANATION: dict[str, Any] = dict.fromkeys(
    (
        "id",
        "modelId",
        "layer",
        "index",
        "description",
        "authorId",
        "embedding",
        "triggeredById",
        "typeName",
        "explanationModelName",
        "notes",
        "createdAt",
    )
)
"""A row's fields, null where nothing is known."""
MOMENT = "%Y-%m-%dT%H:%M:%S.000Z"
NOBODY = "neuronpedia"
CREATOR_ID = "clkht01d40000jv08hvalcvly"
"""The user id that Neuronpedia's own converter writes: its tables refuse rows of users that they do not know."""


class Place(NamedTuple):
    """What Neuronpedia calls an SAE: ids of its model and of its source (`3-res-16k`), and of the user who explains."""

    model: str
    source: str
    creator: str = CREATOR_ID


def source_id(layer: int, set_name: str, suffix: str | None = None) -> str:
    """`{layer}-{set}` or `{layer}-{set}__{suffix}`."""
    return f"{layer}-{set_name}" + (f"__{suffix}" if suffix else "")


def layer_of(hook: str) -> int | None:
    """The block's number in a hook point's name, or None where it has none."""
    numbers = [part for part in hook.split(".") if part.isdigit()]
    return int(numbers[0]) if numbers else None


def place_of(model: str | None, hook: str, set_name: str) -> Place:
    """The ids that a bundle gets where nobody names others."""
    layer = layer_of(hook)
    return Place(model or "model", set_name if layer is None else source_id(layer, set_name))


class Offered(NamedTuple):
    """One explanation in the form of a label; `is_shortened` where its text goes on in the notes."""

    name: str
    notes: str
    author: str
    is_shortened: bool


def offer_of(row: dict[str, Any], text: str, author: str | None = None) -> Offered:
    """A row as a label: `text` its description, `author` who is known to have written it (else the row's `authorId`)."""
    plain = _clean(" ".join(text.split()), "")
    name = plain if len(plain) <= NAME_LIMIT else plain[: NAME_LIMIT - 1].rstrip() + "…"
    own = row.get("notes")
    notes = [_clean(own, "\n\t")] if isinstance(own, str) and own.strip() else []
    by = [value for key in ("explanationModelName", "typeName") if isinstance(value := row.get(key), str) and value]
    notes += [f"Explained by {_clean(', '.join(by), '')}."] if by else []
    notes += [plain] if name != plain else []
    whole = "\n".join(notes)
    stated = author or row.get("authorId")
    who = _clean(stated, "").strip()[:AUTHOR_LIMIT] if isinstance(stated, str) else ""
    return Offered(name, whole[:NOTES_LIMIT], who or NOBODY, name != plain or len(whole) > NOTES_LIMIT)


def _clean(text: str, allowed: str) -> str:
    """The text without characters that no label may hold."""
    return "".join(c if c in allowed or unicodedata.category(c) not in ("Cc", "Cs") else " " for c in text)


def index_of(row: dict[str, Any]) -> int | None:
    """The feature that a row is of; None where it names none."""
    value = row.get("index")
    if isinstance(value, bool):
        return None
    if isinstance(value, int) and 0 <= value < 1 << 31:
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9 else None


def row_id(*parts: object) -> str:
    """A stable id of 25 characters, the form of Neuronpedia's own: the same row of the same store gets the same id."""
    return "c" + hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:24]


def explanation_row(
    model: str, source: str, feature: int, name: str, notes: str, moment: datetime | None, creator: str, key: str
) -> dict[str, Any]:
    """A label as a row; `key` tells it from other rows of the same feature."""
    return {
        **EXPLANATION,
        "id": row_id("explanation", key, model, source, feature),
        "modelId": model,
        "layer": source,
        "index": str(feature),
        "description": name,
        "authorId": creator,
        "notes": notes or None,
        "createdAt": moment.strftime(MOMENT) if moment else None,
    }


def is_explanation(node: Node) -> bool:
    """Whether a value looks like a row."""
    return node.get("description") is not None and node.get("index") is not None


def read_lines(text: str, features: int, problems: Problems) -> Dictionary:
    """A file of rows, one a line; every line that is none is a problem."""
    rows = []
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(parse_json(line, number))
        except Unreadable as error:
            problems.add(error.line, str(error))
    return read_rows(rows, features, problems)


def read_rows(rows: list[Node], features: int, problems: Problems) -> Dictionary:
    """Of several explanations of a feature the newest is its label, the others are older versions."""
    found: dict[int, list[tuple[str, Entry]]] = {}
    places: dict[tuple[Any, Any], int] = {}
    shortened = 0
    for node in rows:
        said = _read_row(node, features, problems)
        if said is None:
            continue
        moment, entry, is_shortened = said
        shortened += is_shortened
        found.setdefault(entry.feature_id, []).append((moment, entry))
        row = node.plain()
        places.setdefault((str(row.get("modelId")), str(row.get("layer"))), node.line)
    for (model, layer), line in list(places.items())[1:]:
        problems.add(line, f"the row is of '{model[:40]}' '{layer[:40]}', which is another source than above: keep one")
    entries = {}
    for feature, offered in found.items():
        *earlier, newest = [entry for _, entry in sorted(offered, key=lambda each: each[0])]
        entries[feature] = newest._replace(earlier=tuple(earlier))
    remarks = (f"{shortened:,} texts over {NAME_LIMIT} characters go on in the notes",) if shortened else ()
    return Dictionary("neuronpedia", Source(), entries, remarks)


def _read_row(node: Node, features: int, problems: Problems) -> tuple[str, Entry, bool] | None:
    index, text = node.get("index"), node.get("description")
    if node.kind != "object" or index is None:
        problems.add(node.line, 'an explanation is an object with an "index" and a "description"')
        return None
    feature = fields.feature_of(index, features, problems)
    if text is None or text.kind != "text" or not text.value.strip():
        problems.add(text.line if text else node.line, "description says nothing")
        return None
    row, created = node.plain(), node.get("createdAt")
    moment = fields.moment_of(created, "createdAt", problems) if created else None
    offer = offer_of(row, text.value)
    if feature is None:
        return None
    values = {"name": offer.name, "notes": offer.notes}
    entry = Entry(feature, values, author=offer.author, created_at=moment, line=node.line)
    return row["createdAt"] if moment else "", entry, offer.is_shortened
