"""What changed between two texts, word by word."""

import re
from difflib import SequenceMatcher

WORD, LINE = re.compile(r"\s+|\w+|[^\w\s]"), re.compile(r".*\n|.+")
MOST_PAIRS = 250_000
"""Pieces of one text times those of the other, up to which they are compared at that fineness."""
Piece = tuple[str, str]
"""'same', 'gone' or 'new', and its text."""


def word_diff(old: str, new: str) -> list[Piece]:
    """The pieces that lead from `old` to `new`: without the new ones they make `old`, without the gone ones `new`.

    Long texts are compared line by line, and very long ones only as a whole.
    """
    before, after = _parts(old, new)
    pieces: list[Piece] = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(before[i:j])))
            continue
        pieces += [("gone", "".join(before[i:j]))] if j > i else []
        pieces += [("new", "".join(after[k:m]))] if m > k else []
    return pieces


def _parts(old: str, new: str) -> tuple[list[str], list[str]]:
    for pattern in (WORD, LINE):
        before, after = pattern.findall(old), pattern.findall(new)
        if len(before) * len(after) <= MOST_PAIRS:
            return before, after
    return [old], [new]
