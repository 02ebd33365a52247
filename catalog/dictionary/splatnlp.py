"""SplatNLP's labels: `{feature: {name, category, notes, timestamp}}`, the consolidated form, its CSV, and plain names."""

from typing import Any

from catalog.dictionary import fields
from catalog.dictionary.csv_rows import number_node, rows_of
from catalog.dictionary.entry import Dictionary, Entry, Source
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems

CSV_COLUMNS = ("feature_id", "display_name", "category", "confidence", "source", "notes")
SIGNS = ("category", "notes", "timestamp", "display_name", "dashboard_name")
NAMES = {  # our field: theirs, in order of preference; the later ones are of the consolidated form
    "name": ("name", "display_name"),
    "category": ("category", "dashboard_category"),
    "notes": ("notes", "dashboard_notes"),
    "confidence": ("confidence", "hypothesis_confidence"),
}
CATEGORIES = ("none", "mechanical", "tactical", "strategic")
"""`none` is no category here."""
MOMENTS = ("timestamp", "last_updated")


def is_labels(root: Node) -> bool:
    """Whether the document looks like SplatNLP's: features by number, with labels or plain names."""
    key, value = next(root.members(), (None, None))
    if key is None or value is None or not str(key.value).strip().isdigit():
        return False
    return value.kind == "text" or any(value.get(sign) is not None for sign in SIGNS)


def read_labels(root: Node, features: int, problems: Problems) -> Dictionary:
    """The entries of any of the JSON forms. `source`, who or what said so, becomes the author."""
    entries: dict[int, Entry] = {}
    silent = 0
    if root.kind != "object":
        problems.add(root.line, f"an object was wanted, a feature's number and its label: found {root.words}")
    for key, value in root.members():
        feature = fields.feature_of(key, features, problems)
        entry = _entry(feature or 0, value, key.line, problems)
        if feature is None or entry is None:
            continue
        if fields.require_name(entry.values, key.line, problems):
            fields.take(entries, feature, entry, problems)
        elif entry.values.get("name") == "":
            silent += 1
    return Dictionary("splatnlp", Source(), entries, _remarks(silent))


def _remarks(silent: int) -> tuple[str, ...]:
    return (f"{silent:,} labels say nothing and were passed over",) if silent else ()


def _entry(feature: int, node: Node, line: int, problems: Problems) -> Entry | None:
    if node.kind == "text":
        name = fields.text_of(node, "name", problems)
        return None if name is None else Entry(feature, {"name": name}, line=line)
    if node.kind != "object":
        problems.add(node.line, f"a label must be an object or a name: found {node.words}")
        return None
    values: dict[str, Any] = {}
    for field, theirs in NAMES.items():
        for name in theirs:
            if (each := node.get(name)) is not None:
                values[field] = _field(field, each, problems)
                break
    if "name" not in values:
        problems.add(line, "the label has no name")
    facts: dict[str, Any] = {}
    if (each := node.get("source")) is not None:
        facts["author"] = fields.text_of(each, "author", problems) or None
    for name in MOMENTS:
        if (each := node.get(name)) is not None:
            facts["created_at"] = fields.moment_of(each, name, problems)
    return Entry(feature, values, **facts, line=line)


def _field(name: str, node: Node, problems: Problems) -> Any:
    if name != "category" or node.kind == "nothing" or node.value in ("", "none"):
        return "" if name == "category" else fields.READERS[name](node, problems)
    if node.value not in CATEGORIES:
        problems.add(node.line, f"category must be one of {', '.join(CATEGORIES)}: found {node.words}")
    return node.value


def read_labels_csv(text: str, features: int, problems: Problems) -> Dictionary:
    """`feature_id,display_name,category,confidence,source,notes`."""
    entries: dict[int, Entry] = {}
    silent = 0
    for cells, line in rows_of(text, CSV_COLUMNS[:2], CSV_COLUMNS, problems):
        feature = fields.feature_of(Node("text", cells["feature_id"], line), features, problems)
        nodes = {"name": Node("text", cells["display_name"], line)}
        nodes |= {name: Node("text", cells[name], line) for name in ("category", "notes") if name in cells}
        nodes |= {"confidence": number_node(cells["confidence"], line)} if "confidence" in cells else {}
        values = {name: _field(name, node, problems) for name, node in nodes.items()}
        author = fields.text_of(Node("text", cells.get("source", ""), line), "author", problems) or None
        if feature is None:
            continue
        if fields.require_name(values, line, problems):
            fields.take(entries, feature, Entry(feature, values, author=author, line=line), problems)
        elif values.get("name") == "":
            silent += 1
    return Dictionary("splatnlp-csv", Source(), entries, _remarks(silent))
