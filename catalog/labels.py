"""Labels of features: an append-only history per SAE fingerprint and feature, in which no edit is ever lost."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog, holds
from catalog.errors import StaleEdits
from catalog.label_text import TYPED, Edit, Evidence, Label, LabelPage, Origin, label_of
from catalog.label_writes import in_parts, newest_versions, save_edits
from catalog.records import LabelRecord
from catalog.texts import AUTHOR_LIMIT, CATEGORY_LIMIT, NAME_LIMIT, NOTES_LIMIT
from loaders.errors import BadInput

__all__ = [
    "AUTHOR_LIMIT",
    "CATEGORY_LIMIT",
    "NAME_LIMIT",
    "NOTES_LIMIT",
    "ORDERS",
    "TYPED",
    "Edit",
    "Evidence",
    "Label",
    "LabelPage",
    "Origin",
    "Stamp",
    "Version",
    "find_labels",
    "get_label",
    "get_versions",
    "history",
    "labels_of",
    "put_edit",
    "put_label",
    "put_labels",
    "recent_labels",
    "restore_label",
    "stamp_of",
    "words_used",
]

ORDERS = {
    "saved": LabelRecord.created_at,
    "feature": LabelRecord.feature_id,
    "name": func.lower(LabelRecord.name),
    "category": func.lower(LabelRecord.category),
    "confidence": LabelRecord.confidence,
    "author": func.lower(LabelRecord.author),
}
"""What `find_labels` can order by."""
Stamp = tuple[int, datetime | None]
"""How many versions there are, and when the last was saved."""
Version = tuple[int, int]
"""A feature and a version of its label."""


def put_label(
    catalog: Catalog,
    sae_id: str,
    sae_fingerprint: str,
    feature_id: int,
    name: str,
    notes: str,
    author: str,
    replaces: int | None,
    *,
    category: str = "",
    confidence: float | None = None,
    evidence: Evidence | None = None,
    origin: Origin = TYPED,
    edit_key: str | None = None,
) -> Label:
    """Save the next version of a label and return it.

    `replaces` is the version that the editor saw, None where there was no label. Empty name and notes clear the
    label, which is a version like any other. Text is stored as given (only the name is stripped). An edit whose
    `edit_key` was saved before is saved no second time: the version of then is returned.
    Raises StaleEdit when somebody saved in between, BadInput for a text or version that cannot be.
    """
    edit = Edit(
        sae_id, sae_fingerprint, feature_id, name, notes, author, replaces, category, confidence, evidence, origin, edit_key
    )  # fmt: skip
    return put_edit(catalog, edit)


def put_edit(catalog: Catalog, edit: Edit) -> Label:
    """Save one edit, as `put_label` does."""
    try:
        (saved,) = put_labels(catalog, [edit])
    except StaleEdits as error:
        raise error.stale[0] from error
    return saved


def put_labels(catalog: Catalog, edits: Sequence[Edit]) -> list[Label]:
    """Save many edits in one transaction, all or none; the labels in the order of the edits.

    Raises StaleEdits, which lists every edit that somebody was quicker than, and BadInput (two edits of one feature
    included); nothing is saved then.
    """
    for _ in range(len(edits) + 1):
        try:
            with catalog.write() as session:
                return save_edits(session, edits, datetime.now(UTC))
        except IntegrityError as error:  # somebody saved since this transaction looked: look again
            conflict = error
    raise conflict


def restore_label(
    catalog: Catalog,
    sae_fingerprint: str,
    feature_id: int,
    version: int,
    author: str,
    replaces: int | None,
    *,
    edit_key: str | None = None,
) -> Label:
    """Undo: save what an earlier version said as the next one, by `author`. Raises StaleEdit, BadInput."""
    with catalog.read() as session:
        record = session.get(LabelRecord, (sae_fingerprint, feature_id, version))
        if record is None:
            raise BadInput(f"Version {version} of this label does not exist: reload it and choose one of its history.")
        earlier = label_of(record)
    return put_label(
        catalog,
        earlier.sae_id,
        sae_fingerprint,
        feature_id,
        earlier.name,
        earlier.notes,
        author,
        replaces,
        category=earlier.category,
        confidence=earlier.confidence,
        evidence=earlier.evidence,
        origin=earlier.origin,
        edit_key=edit_key,
    )


def get_label(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> Label | None:
    """The newest version (a cleared one included: an editor must name it), or None where none was ever saved."""
    with catalog.read() as session:
        record = session.scalar(_versions(sae_fingerprint, feature_id).limit(1))
        return None if record is None else label_of(record)


def get_versions(catalog: Catalog, sae_fingerprint: str, wanted: Sequence[Version]) -> dict[Version, Label]:
    """Those of the wanted versions that there are."""
    found: dict[Version, Label] = {}
    with catalog.read() as session:
        for part in in_parts(wanted):
            key = tuple_(LabelRecord.feature_id, LabelRecord.version)
            query = select(LabelRecord).where(LabelRecord.sae_fingerprint == sae_fingerprint, key.in_(part))
            for record in session.scalars(query):
                found[record.feature_id, record.version] = label_of(record)
    return found


def history(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> list[Label]:
    """All versions of one feature's label, newest first."""
    with catalog.read() as session:
        return [label_of(record) for record in session.scalars(_versions(sae_fingerprint, feature_id))]


def labels_of(catalog: Catalog, sae_fingerprint: str) -> dict[int, Label]:
    """Newest label by feature id of every labelled feature of an SAE; cleared labels are left out."""
    query = newest_versions(sae_fingerprint).where(LabelRecord.name != "").order_by(LabelRecord.feature_id)
    with catalog.read() as session:
        return {record.feature_id: label_of(record) for record in session.scalars(query)}


def stamp_of(catalog: Catalog, sae_fingerprint: str) -> Stamp:
    """What changes whenever a version of one of an SAE's labels is saved, at the cost of one count over an index."""
    query = select(func.count(), func.max(LabelRecord.created_at)).where(LabelRecord.sae_fingerprint == sae_fingerprint)
    with catalog.read() as session:
        versions, last = session.execute(query).one()
        return int(versions), last


def find_labels(
    catalog: Catalog,
    sae_fingerprint: str | None = None,
    *,
    text: str = "",
    category: str | None = None,
    author: str | None = None,
    origin: str | None = None,
    order_by: str = "saved",
    descending: bool = True,
    limit: int = 100,
    offset: int = 0,
) -> LabelPage:
    """Newest labels, latest saved first or in another of ORDERS: those whose name or notes hold `text` (upper and lower
    case alike), with that category, author and kind of origin; cleared ones are left out. `sae_fingerprint` None looks at
    every SAE. Raises BadInput for an order that there is not."""
    if order_by not in ORDERS:
        raise BadInput(f"Labels are ordered by {', '.join(ORDERS)}: found '{order_by[:40]}'.")
    query = newest_versions(sae_fingerprint).where(LabelRecord.name != "")
    if text:
        query = query.where(or_(*(holds(catalog, column, text) for column in (LabelRecord.name, LabelRecord.notes))))
    for column, wanted in (
        (LabelRecord.category, category),
        (LabelRecord.author, author),
        (LabelRecord.origin, origin),
    ):
        query = query if wanted is None else query.where(column == wanted)
    first = ORDERS[order_by].desc().nulls_last() if descending else ORDERS[order_by].asc().nulls_last()
    ordered = query.order_by(first, LabelRecord.sae_fingerprint, LabelRecord.feature_id.desc())
    with catalog.read() as session:
        total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        found = session.scalars(ordered.limit(limit).offset(offset))
        return LabelPage(total, [label_of(record) for record in found])


def words_used(catalog: Catalog, sae_fingerprint: str, field: str) -> list[str]:
    """The different categories, authors or origins of an SAE's newest labels, in order; `field` names which."""
    column = {"category": LabelRecord.category, "author": LabelRecord.author, "origin": LabelRecord.origin}[field]
    newest = newest_versions(sae_fingerprint).where(LabelRecord.name != "", column != "")
    with catalog.read() as session:
        return list(session.scalars(newest.with_only_columns(column).distinct().order_by(column)))


def recent_labels(catalog: Catalog, limit: int = 50, author: str | None = None) -> list[Label]:
    """The versions that were saved last, over all SAEs, newest first: cleared ones and later replaced ones included."""
    query = select(LabelRecord).order_by(
        LabelRecord.created_at.desc(), LabelRecord.version.desc(), LabelRecord.feature_id.desc()
    )
    query = query if author is None else query.where(LabelRecord.author == author)
    with catalog.read() as session:
        return [label_of(record) for record in session.scalars(query.limit(limit))]


def _versions(sae_fingerprint: str, feature_id: int) -> Select[LabelRecord]:
    return (
        select(LabelRecord)
        .where(LabelRecord.sae_fingerprint == sae_fingerprint, LabelRecord.feature_id == feature_id)
        .order_by(LabelRecord.version.desc())
    )
