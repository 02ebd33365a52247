"""Labels of features: an append-only history per SAE fingerprint and feature, in which no edit is ever lost."""

import unicodedata
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import StaleEdit
from catalog.records import LabelRecord
from loaders.errors import BadInput

NAME_LIMIT = 200
NOTES_LIMIT = 10_000
AUTHOR_LIMIT = 100


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

    @property
    def is_cleared(self) -> bool:
        """Whether this version removes the label (name and notes are empty)."""
        return not self.name and not self.notes


def put_label(
    catalog: Catalog,
    sae_id: str,
    sae_fingerprint: str,
    feature_id: int,
    name: str,
    notes: str,
    author: str,
    replaces: int | None,
) -> Label:
    """Save the next version of a label and return it.

    `replaces` is the version that the editor saw, None where there was no label. Empty name and notes clear the
    label, which is a version like any other. Text is stored as given (only the name is stripped).
    Raises StaleEdit when somebody saved in between, BadInput for a text or version that cannot be.
    """
    name, notes, author = name.strip(), notes if notes.strip() else "", author.strip()
    _check_text("The label's name", name, NAME_LIMIT, allowed="")
    _check_text("The notes", notes, NOTES_LIMIT, allowed="\n\t")
    _check_text("The author's name", author, AUTHOR_LIMIT, allowed="")
    if not name and notes:
        raise BadInput("Notes need a name: give the label a name, or empty both to clear it.")
    if not author:
        raise BadInput("A label needs an author: the author's name is empty.")
    if feature_id < 0 or not sae_fingerprint:
        raise BadInput(f"A label needs an SAE fingerprint and a feature id from 0: found feature {feature_id}.")

    submitted = Label(
        sae_id, feature_id, (replaces or 0) + 1, name, notes, author, datetime.now(UTC), replaces
    )  # the primary key accepts this version once, whoever comes first
    try:
        with catalog.write() as session:
            if replaces is not None and not 1 <= replaces <= _count(session, sae_fingerprint, feature_id):
                raise BadInput(f"Version {replaces} of this label does not exist: reload it and save again.")
            session.add(LabelRecord(sae_fingerprint=sae_fingerprint, **submitted._asdict()))
    except IntegrityError as error:
        current = get_label(catalog, sae_fingerprint, feature_id)
        if current is None:
            raise
        raise StaleEdit(current, submitted) from error
    return submitted


def get_label(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> Label | None:
    """The newest version (a cleared one included: an editor must name it), or None where none was ever saved."""
    with catalog.read() as session:
        record = session.scalar(_versions(sae_fingerprint, feature_id).limit(1))
        return None if record is None else _label(record)


def history(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> list[Label]:
    """All versions of one feature's label, newest first."""
    with catalog.read() as session:
        return [_label(record) for record in session.scalars(_versions(sae_fingerprint, feature_id))]


def labels_of(catalog: Catalog, sae_fingerprint: str) -> dict[int, Label]:
    """Newest label by feature id of every labelled feature of an SAE; cleared labels are left out."""
    newest = (
        select(LabelRecord.feature_id, func.max(LabelRecord.version).label("version"))
        .where(LabelRecord.sae_fingerprint == sae_fingerprint)
        .group_by(LabelRecord.feature_id)
        .subquery()
    )
    query = (
        select(LabelRecord)
        .join(
            newest,
            (LabelRecord.feature_id == newest.c.feature_id) & (LabelRecord.version == newest.c.version),
        )
        .where(LabelRecord.sae_fingerprint == sae_fingerprint, LabelRecord.name != "")
        .order_by(LabelRecord.feature_id)
    )
    with catalog.read() as session:
        return {record.feature_id: _label(record) for record in session.scalars(query)}


def _versions(sae_fingerprint: str, feature_id: int) -> Select[LabelRecord]:
    return (
        select(LabelRecord)
        .where(LabelRecord.sae_fingerprint == sae_fingerprint, LabelRecord.feature_id == feature_id)
        .order_by(LabelRecord.version.desc())
    )


def _count(session: Session, sae_fingerprint: str, feature_id: int) -> int:
    query = select(func.count()).select_from(_versions(sae_fingerprint, feature_id).subquery())
    return session.scalar(query) or 0


def _label(record: LabelRecord) -> Label:
    return Label(*(getattr(record, field) for field in Label._fields))


def _check_text(what: str, value: str, limit: int, allowed: str) -> None:
    if len(value) > limit:
        raise BadInput(f"{what} may have at most {limit:,} characters: found {len(value):,}.")
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in allowed:
            raise BadInput(f"{what} may not hold control characters: found U+{ord(character):04X}; remove it.")
