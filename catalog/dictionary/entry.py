"""What a dictionary file holds, whatever its format: one entry for each feature, and what the file says of its SAE."""

from datetime import datetime
from typing import Any, NamedTuple

TEXT_FIELDS = ("name", "category", "notes", "confidence", "evidence")
"""The fields of a label that a file may state; `values` of an entry holds those that it does state."""

EMPTY: dict[str, Any] = {"name": "", "category": "", "notes": "", "confidence": None, "evidence": ""}
"""A label that says nothing. Evidence is a place in a store: `<store>/<context>` or `<store>/<context>/<position>`."""


class Entry(NamedTuple):
    """One feature's label in a file. `values` has only the fields that the file states: others stay as they are.

    `version` is the version that the file was written from (None: not known), `earlier` are older versions, oldest
    first, and `line` is where the entry begins in the file (0: made here).
    """

    feature_id: int
    values: dict[str, Any]
    author: str | None = None
    created_at: datetime | None = None
    version: int | None = None
    earlier: tuple["Entry", ...] = ()
    line: int = 0


class Source(NamedTuple):
    """The SAE that a file says its labels are of; None where it does not say."""

    sae_id: str | None = None
    fingerprint: str | None = None
    features: int | None = None


class Dictionary(NamedTuple):
    """A file that was read whole: its format by name, its entries by feature id, and remarks for the person who imports."""

    format: str
    source: Source
    entries: dict[int, Entry]
    remarks: tuple[str, ...] = ()
