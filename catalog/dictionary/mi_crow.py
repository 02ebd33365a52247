"""mi-crow's concept dictionaries: `concepts.json` in its three forms, and its CSV. Its score is taken as the confidence.

Where one feature has several concepts the one with the highest score counts, as in mi-crow itself.
"""

from typing import Any, NamedTuple

from catalog.dictionary import fields
from catalog.dictionary.csv_rows import number_node, rows_of
from catalog.dictionary.entry import Dictionary, Entry, Source
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Problems

COLUMNS = ("neuron_idx", "concept_name", "score")


class Concept(NamedTuple):
    """One concept of a feature as the file has it."""

    name: str
    score: float | None
    line: int


def is_concepts(root: Node) -> bool:
    """Whether the document looks like mi-crow's."""
    if root.get("concepts") is not None:
        return True
    _, first = next(root.members(), (None, None))
    if first is not None and first.kind == "list":
        first = next(iter(first.value), None)
    return first is not None and first.get("name") is not None and first.get("score") is not None


def read_concepts(root: Node, features: int, problems: Problems) -> Dictionary:
    """`{"n_size": N, "concepts": {"42": concept or list of concepts}}`, or the inner object alone."""
    inner, size = root.get("concepts"), root.get("n_size")
    count = size.value if size and size.kind == "number" else None
    if size is not None and count is None:
        problems.add(size.line, f"n_size must be a whole number: found {size.words}")
    found: dict[int, list[Concept]] = {}
    body = inner if inner is not None else root
    if body.kind != "object":
        problems.add(body.line, f"concepts must be an object: a feature's number, and its concept: found {body.words}")
    seen: dict[Any, int] = {}
    for key, value in body.members():
        feature = fields.feature_of(key, features, problems)
        concepts = [_concept(each, problems) for each in (value.value if value.kind == "list" else [value])]
        if feature is None:
            continue
        if feature in seen:
            problems.add(key.line, f"feature {feature} is there twice: it stands in line {seen[feature]} already")
        seen[feature] = key.line
        found.setdefault(feature, []).extend(each for each in concepts if each is not None)
    return _choose("mi-crow", Source(features=count if isinstance(count, int) else None), found, problems)


def _concept(node: Node, problems: Problems) -> Concept | None:
    name, score = node.get("name"), node.get("score")
    if name is None:
        problems.add(node.line, 'a concept is an object with a "name" and a "score"')
        return None
    text = fields.text_of(name, "name", problems)
    is_given = score is not None and score.kind != "nothing"
    value = fields.number_of(score, "score", problems) if score is not None and is_given else None
    return None if text is None else Concept(text, value, node.line)


def read_concepts_csv(text: str, features: int, problems: Problems) -> Dictionary:
    """`neuron_idx,concept_name,score`."""
    found: dict[int, list[Concept]] = {}
    for cells, line in rows_of(text, COLUMNS[:2], COLUMNS, problems):
        feature = fields.feature_of(Node("text", cells["neuron_idx"], line), features, problems)
        name = fields.text_of(Node("text", cells["concept_name"], line), "name", problems)
        score = number_node(cells.get("score", ""), line)
        value = None if score.kind == "nothing" else fields.number_of(score, "score", problems)
        if feature is not None and name is not None:
            found.setdefault(feature, []).append(Concept(name, value, line))
    return _choose("mi-crow-csv", Source(), found, problems)


def _choose(kind: str, source: Source, found: dict[int, list[Concept]], problems: Problems) -> Dictionary:
    """One concept for each feature; the scores are confidences only where all of them could be."""
    entries: dict[int, Entry] = {}
    scores = [each.score for concepts in found.values() for each in concepts if each.score is not None]
    are_shares = all(0 <= score <= 1 for score in scores)
    silent = left = 0
    for feature, concepts in found.items():
        named = sorted((each for each in concepts if each.name), key=_strength, reverse=True)
        if not named:
            silent += 1
            continue
        best = named[0]
        if len(named) > 1 and _strength(named[1]) == _strength(best):
            problems.add(named[1].line, f"feature {feature} has two concepts of the same score: keep one of them")
        left += len(named) - 1
        values: dict[str, Any] = {"name": best.name}
        if best.score is not None and are_shares:
            values["confidence"] = best.score
        entries[feature] = Entry(feature, values, line=best.line)
    remarks = []
    if silent:
        remarks.append(f"{silent:,} features without a named concept were passed over")
    if left:
        remarks.append(f"{left:,} concepts of lower score than another of the same feature were left out")
    if not are_shares:
        remarks.append("scores do not all lie from 0 to 1, so they are not taken as confidence")
    return Dictionary(kind, source, entries, tuple(remarks))


def _strength(concept: Concept) -> float:
    return float("-inf") if concept.score is None else concept.score
