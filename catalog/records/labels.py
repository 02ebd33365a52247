"""Records of what people say about features: labels in all their versions, votes and comments on them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import NUMBER, Record

LABEL_KEY = ["labels.sae_fingerprint", "labels.feature_id", "labels.version"]
VERSION_KEY = ["sae_fingerprint", "feature_id", "version"]


class LabelRecord(Record):
    """One saved text of one feature's label; rows are only ever added.

    The primary key decides between two people who save at once; the foreign key forbids gaps in the history.
    """

    __tablename__ = "labels"
    __table_args__ = (
        ForeignKeyConstraint(["sae_fingerprint", "feature_id", "replaces"], LABEL_KEY, name="labels_replaces"),
        CheckConstraint("version = coalesce(replaces, 0) + 1", name="labels_version"),
        CheckConstraint("confidence between 0 and 1", name="labels_confidence"),
        CheckConstraint("origin in ('typed', 'imported', 'inherited', 'automatic')", name="labels_origin"),
        UniqueConstraint("edit_key", name="labels_edit_key"),
        Index("labels_created_at", "created_at"),
    )

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sae_id: Mapped[str]
    name: Mapped[str]
    notes: Mapped[str]
    author: Mapped[str]
    created_at: Mapped[datetime]
    replaces: Mapped[int | None]
    category: Mapped[str] = mapped_column(server_default="")
    confidence: Mapped[float | None]
    evidence_store: Mapped[str | None]
    evidence_context: Mapped[int | None]
    evidence_position: Mapped[int | None]
    origin: Mapped[str] = mapped_column(server_default="typed")
    origin_sae: Mapped[str | None]  # fingerprint of the SAE that it was inherited from
    origin_feature: Mapped[int | None]
    origin_score: Mapped[float | None]
    origin_detail: Mapped[str | None]  # such as the file it was imported from, or what named it
    edit_key: Mapped[str | None]


class VoteRecord(Record):
    """What one person thinks of one version of a label: 1 for, -1 against."""

    __tablename__ = "label_votes"
    __table_args__ = (
        ForeignKeyConstraint(VERSION_KEY, LABEL_KEY, name="label_votes_label"),
        CheckConstraint("value in (-1, 1)", name="label_votes_value"),
    )

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    person: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
    voted_at: Mapped[datetime]


class CommentRecord(Record):
    """One remark on one version of a label; rows are only ever added."""

    __tablename__ = "label_comments"
    __table_args__ = (
        ForeignKeyConstraint(VERSION_KEY, LABEL_KEY, name="label_comments_label"),
        UniqueConstraint("edit_key", name="label_comments_edit_key"),
        Index("label_comments_label_version", *VERSION_KEY),
    )

    comment_id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    sae_fingerprint: Mapped[str]
    feature_id: Mapped[int]
    version: Mapped[int]
    text: Mapped[str]
    author: Mapped[str]
    created_at: Mapped[datetime]
    edit_key: Mapped[str | None]
