"""Labels that another SAE inherits through matched features: planned first, never over a label that is there."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from catalog.label_text import Edit, Label, Origin


class Match(NamedTuple):
    """Feature `target` of one SAE stands for `source` of another; `score` is how alike they are, `detail` how it is known."""

    source: int
    target: int
    score: float
    detail: str


class Inheritance(NamedTuple):
    """What would be inherited: `new` labels to save, `same` matches whose target says so already, and `kept`: targets
    with a label of their own (or one that somebody removed), which is not touched."""

    new: list[tuple[Match, Edit]]
    same: list[Match]
    kept: list[tuple[Match, Label]]


def plan_inheritance(
    labels: Mapping[int, Label],
    current: Mapping[int, Label],
    matches: Iterable[Match],
    source_fingerprint: str,
    target: tuple[str, str],
    author: str | None = None,
) -> Inheritance:
    """Compare; nothing is saved. `labels` are the source's, `current` the target's newest versions, cleared ones included.

    `target` is the id and the fingerprint of the SAE that inherits. Labels keep their author unless `author` is given.
    """
    plan = Inheritance([], [], [])
    for match in matches:
        label, there = labels[match.source], current.get(match.target)
        if there is None:
            plan.new.append((match, _edit(label, match, source_fingerprint, target, author or label.author)))
        elif (there.name, there.notes) == (label.name, label.notes):
            plan.same.append(match)
        else:
            plan.kept.append((match, there))
    return plan


def _edit(label: Label, match: Match, source_fingerprint: str, target: tuple[str, str], author: str) -> Edit:
    return Edit(
        *target,
        match.target,
        label.name,
        label.notes,
        author,
        None,
        category=label.category,
        confidence=label.confidence,
        evidence=label.evidence,
        origin=Origin("inherited", source_fingerprint, match.source, match.score, match.detail),
    )
