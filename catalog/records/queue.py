"""Records of the review queue: who works on which feature, blind labels, and what became of two of them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import Record


class ClaimRecord(Record):
    """A feature that somebody works on until `expires_at`.

    Slot 0 is the only one of an ordinary feature; a double-blind one has 0 and 1, for two different people: the primary
    key lets each slot be held once, the constraint lets nobody hold both.
    """

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("sae_fingerprint", "feature_id", "person", name="claims_person"),
        CheckConstraint("slot in (0, 1)", name="claims_slot"),
        Index("claims_by_person", "person"),
    )

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person: Mapped[str]
    is_blind: Mapped[bool]
    claimed_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class BlindLabelRecord(Record):
    """What one of two people says of a double-blind feature; the other sees it once both have spoken."""

    __tablename__ = "blind_labels"
    __table_args__ = (
        UniqueConstraint("sae_fingerprint", "feature_id", "person", name="blind_labels_person"),
        CheckConstraint("slot in (0, 1)", name="blind_labels_slot"),
        CheckConstraint("confidence between 0 and 1", name="blind_labels_confidence"),
    )

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person: Mapped[str]
    sae_id: Mapped[str]
    name: Mapped[str]
    notes: Mapped[str]
    category: Mapped[str]
    confidence: Mapped[float | None]
    submitted_at: Mapped[datetime]


class VerdictRecord(Record):
    """The end of a double-blind review: both agreed, or somebody decided between them."""

    __tablename__ = "verdicts"
    __table_args__ = (CheckConstraint("outcome in ('agreed', 'adjudicated')", name="verdicts_outcome"),)

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str]
    person: Mapped[str]  # who decided, or who completed the agreement
    label_version: Mapped[int]
    decided_at: Mapped[datetime]
