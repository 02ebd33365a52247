"""Records of features that people gather: named lists in their order, and everybody's own bookmarks."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import NUMBER, Record


class ListRecord(Record):
    """A named list that everybody sees; its owner made it."""

    __tablename__ = "feature_lists"
    __table_args__ = (UniqueConstraint("name", name="feature_lists_name"),)

    list_id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    name: Mapped[str]
    owner: Mapped[str]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ListItemRecord(Record):
    """A feature on a list, once; `position` orders the list and may have gaps."""

    __tablename__ = "feature_list_items"

    list_id: Mapped[int] = mapped_column(
        ForeignKey("feature_lists.list_id", name="feature_list_items_list", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sae_id: Mapped[str]
    position: Mapped[int]
    note: Mapped[str]
    added_by: Mapped[str]
    added_at: Mapped[datetime]


class BookmarkRecord(Record):
    """A feature that one person wants to find again."""

    __tablename__ = "bookmarks"

    person: Mapped[str] = mapped_column(primary_key=True)
    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sae_id: Mapped[str]
    created_at: Mapped[datetime]
