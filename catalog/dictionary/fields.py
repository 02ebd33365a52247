"""One field of an entry: a node becomes a value that a label may have, or a problem with its line."""

import math
from datetime import UTC, datetime
from typing import Any

from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems
from catalog.evidence import place_of, read_place
from catalog.labels import AUTHOR_LIMIT, CATEGORY_LIMIT, NAME_LIMIT, NOTES_LIMIT
from catalog.texts import fault
from loaders.errors import BadInput

LIMITS = {"name": NAME_LIMIT, "category": CATEGORY_LIMIT, "notes": NOTES_LIMIT, "author": AUTHOR_LIMIT}
MOST_VERSIONS = 2**31


def feature_of(node: Node, features: int, problems: Problems) -> int | None:
    """A feature's number, written as a whole number or as its digits; None (and a problem) where it is none."""
    value = node.value
    if node.kind == "text" and value.strip().isascii() and value.strip().isdigit() and len(value) <= 20:
        value = int(value)
    if node.kind not in ("text", "number") or not isinstance(value, int):
        problems.add(node.line, f"a feature's number was wanted, found {node.words}")
        return None
    if not 0 <= value < features:
        problems.add(node.line, f"feature {value} does not exist: the SAE has features 0 to {features - 1}")
        return None
    return value


def text_of(node: Node, field: str, problems: Problems) -> str | None:
    """A text that a label may hold; null is an empty one. Line ends become \\n."""
    if node.kind == "nothing":
        return ""
    if node.kind != "text":
        problems.add(node.line, f"{field} must be a text: found {node.words}; put it in quotes")
        return None
    text = node.value.replace("\r\n", "\n").replace("\r", "\n")
    text = text.strip() if field != "notes" else text if text.strip() else ""
    limit = LIMITS[field]
    if len(text) > limit:
        problems.add(node.line, f"{field} may have at most {limit:,} characters: found {len(text):,}")
        return None
    if found := fault(text, "\n\t" if field == "notes" else ""):
        problems.add(node.line, f"{field} {found}")
        return None
    return str(text)


def evidence_of(node: Node, problems: Problems) -> str | None:
    """The place in a store that shows what the label says, `<store>/<context>[/<position>]`; empty where there is none."""
    if node.kind == "nothing" or node.value == "":
        return ""
    try:
        return place_of(read_place(node.value if node.kind == "text" else "-"))
    except BadInput:
        problems.add(node.line, f"evidence must be a place such as sae@dataset/120/7: found {node.words}")
        return None


def confidence_of(node: Node, problems: Problems) -> float | None:
    """A number from 0 to 1; None where it is null (or no such number, which is a problem)."""
    if node.kind == "nothing":
        return None
    if node.kind != "number" or not 0 <= node.value <= 1:
        problems.add(node.line, f"confidence must be a number from 0 to 1: found {node.words}")
        return None
    return float(node.value)


def number_of(node: Node, what: str, problems: Problems) -> float | None:
    """Any finite number."""
    if node.kind != "number" or not _is_finite(node.value):
        problems.add(node.line, f"{what} must be a number: found {node.words}")
        return None
    return float(node.value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def version_of(node: Node, problems: Problems) -> int | None:
    """The version of the label that the entry was written from; None where it is null."""
    if node.kind == "nothing":
        return None
    if node.kind != "number" or not isinstance(node.value, int) or not 1 <= node.value < MOST_VERSIONS:
        problems.add(node.line, f"version must be a whole number from 1: found {node.words}")
        return None
    return node.value


def moment_of(node: Node, field: str, problems: Problems) -> datetime | None:
    """A point in time in ISO 8601; one without a zone is taken as UTC. None where it is null or empty."""
    if node.kind == "nothing" or node.value == "":
        return None
    try:
        moment = datetime.fromisoformat(node.value if node.kind == "text" else "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.add(node.line, f"{field} must be a time such as 2026-05-01T12:00:00+00:00: found {node.words}")
        return None


READERS: dict[str, Any] = {
    "name": lambda node, problems: text_of(node, "name", problems),
    "category": lambda node, problems: text_of(node, "category", problems),
    "notes": lambda node, problems: text_of(node, "notes", problems),
    "confidence": confidence_of,
    "evidence": evidence_of,
}
"""How each field of a label is read."""


def require_name(values: dict[str, Any], line: int, problems: Problems) -> bool:
    """Whether the entry says anything; saying something without a name is a problem."""
    if values.get("name"):
        return True
    if values.get("name") is None:
        return False  # the name itself was a problem, or stays as it is
    said = [field for field, value in values.items() if value not in (None, "")]
    if said:
        problems.add(line, f"the label has {' and '.join(said)} but no name: give it one")
    return False


def take(entries: dict[int, Any], feature: int, entry: Any, problems: Problems) -> None:
    """Add an entry; a feature that is there already is a problem."""
    if feature in entries:
        problems.add(entry.line, f"feature {feature} is there twice: it stands in line {entries[feature].line} already")
        return
    entries[feature] = entry
