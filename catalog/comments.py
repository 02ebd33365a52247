"""Comments on versions of labels: only ever added, oldest first."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.records import CommentRecord, LabelRecord
from catalog.texts import COMMENT_LIMIT, check_edit_key, check_person, check_text
from loaders.errors import BadInput


class Comment(NamedTuple):
    """One remark; `version` is that of the label which its author saw."""

    comment_id: int
    feature_id: int
    version: int
    text: str
    author: str
    created_at: datetime


def put_comment(
    catalog: Catalog,
    sae_fingerprint: str,
    feature_id: int,
    version: int,
    text: str,
    author: str,
    *,
    edit_key: str | None = None,
) -> Comment:
    """Add a comment to a version of a label; one whose `edit_key` was saved before is returned as it is.

    Raises BadInput for an empty or impossible text and for a version that is not there.
    """
    author = check_person("The author", author)
    check_text("The comment", text, COMMENT_LIMIT, allowed="\n\t")
    check_edit_key(edit_key)
    if not text.strip():
        raise BadInput("The comment is empty: write something, or leave it.")
    new = CommentRecord(
        sae_fingerprint=sae_fingerprint,
        feature_id=feature_id,
        version=version,
        text=text,
        author=author,
        created_at=datetime.now(UTC),
        edit_key=edit_key,
    )
    try:
        with catalog.write() as session:
            if (known := _known(session, new)) is not None:
                return _comment(known)
            if session.get(LabelRecord, (sae_fingerprint, feature_id, version)) is None:
                raise BadInput(f"Version {version} of this label does not exist: reload it and comment again.")
            session.add(new)
            session.flush()
            return _comment(new)
    except IntegrityError:  # the same request came twice at once, and the other one was quicker
        with catalog.read() as session:
            if (known := _known(session, new)) is None:
                raise
            return _comment(known)


def comments_on(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> list[Comment]:
    """All comments on a feature's label, in any version of it, oldest first."""
    query = (
        select(CommentRecord)
        .where(CommentRecord.sae_fingerprint == sae_fingerprint, CommentRecord.feature_id == feature_id)
        .order_by(CommentRecord.created_at, CommentRecord.comment_id)
    )
    with catalog.read() as session:
        return [_comment(record) for record in session.scalars(query)]


def comment_counts(catalog: Catalog, sae_fingerprint: str) -> dict[int, int]:
    """How many comments there are, by feature that has any."""
    query = (
        select(CommentRecord.feature_id, func.count())
        .where(CommentRecord.sae_fingerprint == sae_fingerprint)
        .group_by(CommentRecord.feature_id)
    )
    with catalog.read() as session:
        return {feature_id: int(count) for feature_id, count in session.execute(query)}


def _known(session: Session, new: CommentRecord) -> CommentRecord | None:
    """The comment that was saved under the same key. Raises BadInput where that is another one."""
    if new.edit_key is None:
        return None
    known = session.scalar(select(CommentRecord).where(CommentRecord.edit_key == new.edit_key))
    if known is not None:
        fields = ("sae_fingerprint", "feature_id", "text", "author")
        if any(getattr(known, field) != getattr(new, field) for field in fields):
            raise BadInput(f"The edit key '{new.edit_key}' belongs to another comment: make a new one for each.")
    return known


def _comment(record: CommentRecord) -> Comment:
    return Comment(*(getattr(record, field) for field in Comment._fields))
