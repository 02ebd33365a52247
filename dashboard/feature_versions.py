"""The versions of a feature's label for the Feature page: what each changed, who agrees with it."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from catalog.label_text import Label
from catalog.votes import Vote
from dashboard.components import percent
from dashboard.components.label_words import FIELDS, when_words
from dashboard.label_reading import evidence_words, origin_words
from dashboard.word_diff import word_diff

SHOWN = 30
"""Versions that the page gets at once; the HTTP interface has all of them."""


def versions_data(versions: Sequence[Label], votes: Sequence[Vote]) -> list[dict[str, Any]]:
    """The newest SHOWN versions, newest first, each with its lines as pieces of `word_diff` and its votes by person."""
    return [
        {
            "version": label.version,
            "by": label.author,
            "when": when_words(label.created_at),
            "origin": origin_words(label),
            "lines": _lines(before, label),
            "for": [vote.person for vote in votes if (vote.version, vote.value) == (label.version, 1)],
            "against": [vote.person for vote in votes if (vote.version, vote.value) == (label.version, -1)],
        }
        for label, before in list(zip_longest(versions, versions[1:]))[:SHOWN]
    ]


def _lines(before: Label | None, label: Label) -> list[dict[str, Any]]:
    """The name, and whatever else changed; of the first version whatever it says."""
    old, new = _texts(before), _texts(label)
    return [
        {"field": field, "pieces": word_diff(old[field], text) if before else [("same", text)]}
        for field, text in new.items()
        if (field == "name" and (text or old[field])) or text != old[field]
    ]


def _texts(label: Label | None) -> dict[str, str]:
    if label is None:
        return dict.fromkeys(FIELDS, "")
    sure = "" if label.confidence is None else percent(label.confidence)
    evidence = evidence_words(label.evidence)
    return dict(zip(FIELDS, (label.name, label.category, sure, label.notes, evidence), strict=True))
