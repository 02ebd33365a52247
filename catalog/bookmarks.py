"""Bookmarks: the features that one person wants to find again."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import select

from catalog.catalog import Catalog, get_or_add
from catalog.records import BookmarkRecord
from catalog.texts import check_feature, check_person


class Bookmark(NamedTuple):
    """One feature that somebody marked."""

    sae_id: str
    sae_fingerprint: str
    feature_id: int
    created_at: datetime


def put_bookmark(
    catalog: Catalog, person: str, sae_id: str, sae_fingerprint: str, feature_id: int, is_set: bool = True
) -> None:
    """Mark a feature, or (`is_set` False) take the mark off; doing either twice changes nothing."""
    person = check_person("The person", person)
    check_feature(sae_fingerprint, feature_id, "A bookmark")
    key = (person, sae_fingerprint, feature_id)
    with catalog.write() as session:
        if is_set:
            new = BookmarkRecord(
                person=person,
                sae_fingerprint=sae_fingerprint,
                feature_id=feature_id,
                sae_id=sae_id,
                created_at=datetime.now(UTC),
            )
            get_or_add(session, new, key)
        elif (record := session.get(BookmarkRecord, key, with_for_update=True)) is not None:
            session.delete(record)


def bookmarks_of(catalog: Catalog, person: str, sae_fingerprint: str | None = None) -> list[Bookmark]:
    """A person's bookmarks, the latest first: of one SAE, or of all."""
    query = select(BookmarkRecord).where(BookmarkRecord.person == person.strip())
    if sae_fingerprint is not None:
        query = query.where(BookmarkRecord.sae_fingerprint == sae_fingerprint)
    query = query.order_by(BookmarkRecord.created_at.desc(), BookmarkRecord.feature_id)
    with catalog.read() as session:
        return [Bookmark(*(getattr(record, field) for field in Bookmark._fields)) for record in session.scalars(query)]
