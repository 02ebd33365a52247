"""What a label says: its texts, how sure its author is, what shows it, where it comes from; and an edit of it."""

from datetime import datetime
from typing import NamedTuple

from catalog.records import LabelRecord

ORIGINS = ("typed", "imported", "inherited", "automatic")


class Evidence(NamedTuple):
    """Where a label can be seen to hold: a context of a store, and a position in it where there is one that matters."""

    store: str
    context: int
    position: int | None = None


class Origin(NamedTuple):
    """Where a label comes from; `kind` is one of ORIGINS.

    An inherited label names the SAE (its fingerprint), the feature and the score of the match; `detail` is the file that
    a label was imported from, or what named it automatically.
    """

    kind: str = "typed"
    sae: str | None = None
    feature: int | None = None
    score: float | None = None
    detail: str | None = None


TYPED = Origin()


class Label(NamedTuple):
    """One version of a feature's label; `replaces` is the version that its author had seen (None: no label)."""

    sae_id: str
    feature_id: int
    version: int
    name: str
    notes: str
    author: str
    created_at: datetime
    replaces: int | None
    category: str = ""
    confidence: float | None = None
    evidence: Evidence | None = None
    origin: Origin = TYPED
    edit_key: str | None = None

    @property
    def is_cleared(self) -> bool:
        """Whether this version removes the label (name and notes are empty)."""
        return not self.name and not self.notes


class LabelPage(NamedTuple):
    """Some of the labels that were found, and how many there are in all."""

    total: int
    labels: list[Label]


class Edit(NamedTuple):
    """A label to be saved; `replaces` is the version that its author saw, None where there was none."""

    sae_id: str
    sae_fingerprint: str
    feature_id: int
    name: str
    notes: str
    author: str
    replaces: int | None
    category: str = ""
    confidence: float | None = None
    evidence: Evidence | None = None
    origin: Origin = TYPED
    edit_key: str | None = None


def label_of(record: LabelRecord) -> Label:
    """A label as the database keeps it."""
    evidence = None
    if record.evidence_store is not None and record.evidence_context is not None:
        evidence = Evidence(record.evidence_store, record.evidence_context, record.evidence_position)
    return Label(
        record.sae_id,
        record.feature_id,
        record.version,
        record.name,
        record.notes,
        record.author,
        record.created_at,
        record.replaces,
        record.category,
        record.confidence,
        evidence,
        Origin(record.origin, record.origin_sae, record.origin_feature, record.origin_score, record.origin_detail),
        record.edit_key,
    )
