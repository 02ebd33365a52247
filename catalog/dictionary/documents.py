"""Loupe's own dictionary as a JSON or YAML document: what its nodes say, every problem named."""

from difflib import get_close_matches
from typing import Any

from catalog.dictionary import fields
from catalog.dictionary.entry import TEXT_FIELDS, Dictionary, Entry, Source
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems

FORMAT_VERSION = 1
TOP = ("loupe", "format", "sae", "fingerprint", "features", "labels")
FACTS = ("author", "created_at", "version")
ENTRY = (*TEXT_FIELDS, *FACTS, "history")
_NOTHING = Node("nothing", None, 0)


def is_document(root: Node) -> bool:
    """Whether a document says that it is Loupe's: `loupe: labels`."""
    said = root.get("loupe")
    return said is not None and said.value == "labels"


def read_document(root: Node, kind: str, features: int, problems: Problems) -> Dictionary:
    """The entries of a document; `kind` is the name of its format."""
    _refuse_unknown(root, TOP, "a dictionary", problems)
    stated = root.get("format") or _NOTHING
    if stated.value != FORMAT_VERSION or stated.kind != "number":
        problems.add(stated.line or root.line, f"format must be {FORMAT_VERSION}: found {stated.words}")
    labels = root.get("labels")
    if labels is None or labels.kind != "object":
        line = labels.line if labels else root.line
        problems.add(line, "labels must be an object: a feature's number, and its label as an object")
    entries: dict[int, Entry] = {}
    silent = 0
    for key, value in labels.members() if labels else ():
        feature = fields.feature_of(key, features, problems)
        entry = _entry(feature or 0, value, key.line, problems)
        if feature is None or entry is None:
            continue
        if fields.require_name(entry.values, key.line, problems):
            fields.take(entries, feature, entry, problems)
        elif entry.values.get("name") == "":
            silent += 1
    remarks = (f"{silent:,} entries say nothing and were passed over",) if silent else ()
    return Dictionary(kind, _source(root, problems), entries, remarks)


def _source(root: Node, problems: Problems) -> Source:
    said: dict[str, Any] = {}
    for key in ("sae", "fingerprint"):
        node = root.get(key) or _NOTHING
        if node.kind not in ("text", "nothing"):
            problems.add(node.line, f"{key} must be a text: found {node.words}; put it in quotes")
        said[key] = node.value if node.kind == "text" and node.value else None
    count = root.get("features") or _NOTHING
    if count.kind != "nothing" and not (count.kind == "number" and isinstance(count.value, int)):
        problems.add(count.line, f"features must be a whole number: found {count.words}")
        return Source(said["sae"], said["fingerprint"])
    return Source(said["sae"], said["fingerprint"], count.value)


def _entry(feature: int, node: Node, line: int, problems: Problems, is_old: bool = False) -> Entry | None:
    known = tuple(key for key in ENTRY if not (is_old and key == "history"))
    if node.kind != "object":
        problems.add(node.line, f"a label must be an object with a name: found {node.words}")
        return None
    _refuse_unknown(node, known, "a label", problems)
    if node.get("name") is None:
        problems.add(line, "the label has no name")
    values = {key: read(each, problems) for key, read in fields.READERS.items() if (each := node.get(key))}
    facts: dict[str, Any] = {}
    if each := node.get("author"):
        facts["author"] = fields.text_of(each, "author", problems) or None
    if each := node.get("created_at"):
        facts["created_at"] = fields.moment_of(each, "created_at", problems)
    if each := node.get("version"):
        facts["version"] = fields.version_of(each, problems)
    return Entry(feature, values, **facts, earlier=_history(feature, node.get("history"), problems), line=line)


def _history(feature: int, node: Node | None, problems: Problems) -> tuple[Entry, ...]:
    if node is None or node.kind == "nothing":
        return ()
    if node.kind != "list":
        problems.add(node.line, f"history must be a list of labels, oldest first: found {node.words}")
        return ()
    found = [_entry(feature, each, each.line, problems, is_old=True) for each in node.value]
    return tuple(each for each in found if each is not None)


def _refuse_unknown(node: Node, known: tuple[str, ...], what: str, problems: Problems) -> None:
    seen: set[Any] = set()
    for key, _ in node.members():
        if key.kind != "text" or key.value not in known:
            near = get_close_matches(str(key.value), known, 1)
            wanted = f"did you mean '{near[0]}'?" if near else f"it may have {', '.join(known)}"
            problems.add(key.line, f"{what} has no field {str(key.value)[:40]!r}: {wanted}")
        elif key.value in seen:
            problems.add(key.line, f"the field '{key.value}' is there twice")
        seen.add(key.value if key.kind == "text" else None)
