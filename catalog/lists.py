"""Named lists of features in an order of their own; everybody sees them, and a feature is on a list once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.records import ListItemRecord, ListRecord
from catalog.texts import NAME_LIMIT, check_feature, check_person, check_text
from loaders.errors import BadInput

NOTE_LIMIT = 1_000
Feature = tuple[str, int]
"""Fingerprint of an SAE, and id of one of its features."""


class FeatureList(NamedTuple):
    """A list; `size` is how many features are on it."""

    list_id: int
    name: str
    owner: str
    created_at: datetime
    changed_at: datetime
    size: int


class ListItem(NamedTuple):
    """One feature on a list."""

    sae_id: str
    sae_fingerprint: str
    feature_id: int
    note: str
    added_by: str
    added_at: datetime


def make_list(catalog: Catalog, name: str, owner: str) -> FeatureList:
    """Begin an empty list. Raises BadInput for a name that cannot be, or that another list has."""
    name, owner, now = _check_name(name), check_person("The owner", owner), datetime.now(UTC)
    record = ListRecord(name=name, owner=owner, created_at=now, changed_at=now)
    try:
        with catalog.write() as session:
            session.add(record)
            session.flush()
            return FeatureList(record.list_id, name, owner, now, now, 0)
    except IntegrityError as error:
        raise BadInput(f"There is a list '{name}' already: choose another name.") from error


def rename_list(catalog: Catalog, list_id: int, name: str) -> None:
    """Give a list another name. Raises NotThere, or BadInput as `make_list` does."""
    name = _check_name(name)
    try:
        with catalog.write() as session:
            _changing(session, list_id).name = name
    except IntegrityError as error:
        raise BadInput(f"There is a list '{name}' already: choose another name.") from error


def remove_list(catalog: Catalog, list_id: int) -> None:
    """Remove a list with its items; the features and their labels stay. Raises NotThere."""
    with catalog.write() as session:
        session.delete(_changing(session, list_id))


def lists(catalog: Catalog) -> list[FeatureList]:
    """All lists by name."""
    return _found(catalog, true())


def lists_with(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> list[FeatureList]:
    """The lists that a feature is on, by name."""
    of_feature = (ListItemRecord.sae_fingerprint == sae_fingerprint) & (ListItemRecord.feature_id == feature_id)
    return _found(catalog, ListRecord.list_id.in_(select(ListItemRecord.list_id).where(of_feature)))


def get_list(catalog: Catalog, list_id: int) -> FeatureList:
    """One list. Raises NotThere."""
    for found in _found(catalog, ListRecord.list_id == list_id):
        return found
    raise _not_there(list_id)


def list_items(catalog: Catalog, list_id: int) -> list[ListItem]:
    """The features on a list, in its order. Raises NotThere."""
    query = select(ListItemRecord).where(ListItemRecord.list_id == list_id)
    with catalog.read() as session:
        if session.get(ListRecord, list_id) is None:
            raise _not_there(list_id)
        found = session.scalars(query.order_by(ListItemRecord.position, ListItemRecord.feature_id))
        return [ListItem(*(getattr(record, field) for field in ListItem._fields)) for record in found]


def add_to_list(
    catalog: Catalog,
    list_id: int,
    sae_id: str,
    sae_fingerprint: str,
    feature_ids: Sequence[int],
    person: str,
    note: str = "",
) -> int:
    """Add features at the end of a list; those that are on it stay where they are. How many are new. Raises NotThere."""
    person, now = check_person("The person", person), datetime.now(UTC)
    check_text("The note", note, NOTE_LIMIT, allowed="\n\t")
    for feature_id in feature_ids:
        check_feature(sae_fingerprint, feature_id, "A list's item")
    with catalog.write() as session:
        _changing(session, list_id)
        of_list = ListItemRecord.list_id == list_id
        last = session.scalar(select(func.max(ListItemRecord.position)).where(of_list))
        there = select(ListItemRecord.feature_id).where(of_list, ListItemRecord.sae_fingerprint == sae_fingerprint)
        known = set(session.scalars(there))
        new = [feature_id for feature_id in dict.fromkeys(feature_ids) if feature_id not in known]
        start = 0 if last is None else last + 1
        session.add_all(
            ListItemRecord(
                list_id=list_id,
                sae_fingerprint=sae_fingerprint,
                feature_id=feature_id,
                sae_id=sae_id,
                position=start + i,
                note=note,
                added_by=person,
                added_at=now,
            )
            for i, feature_id in enumerate(new)
        )
        return len(new)


def remove_from_list(catalog: Catalog, list_id: int, features: Sequence[Feature]) -> None:
    """Take features off a list; those that are not on it are passed over. Raises NotThere."""
    with catalog.write() as session:
        _changing(session, list_id)
        for fingerprint, feature_id in features:
            session.execute(
                delete(ListItemRecord).where(
                    ListItemRecord.list_id == list_id,
                    ListItemRecord.sae_fingerprint == fingerprint,
                    ListItemRecord.feature_id == feature_id,
                )
            )


def order_list(catalog: Catalog, list_id: int, features: Sequence[Feature]) -> None:
    """Put these features first, in this order; the others follow as they were. Raises NotThere."""
    wanted = {feature: i for i, feature in enumerate(features)}
    with catalog.write() as session:
        _changing(session, list_id)
        items = session.scalars(select(ListItemRecord).where(ListItemRecord.list_id == list_id)).all()
        ordered = sorted(
            items, key=lambda item: (wanted.get((item.sae_fingerprint, item.feature_id), len(wanted)), item.position)
        )
        for i, item in enumerate(ordered):
            item.position = i


def _found(catalog: Catalog, which: ColumnElement[bool]) -> list[FeatureList]:
    size = select(func.count()).where(ListItemRecord.list_id == ListRecord.list_id).scalar_subquery()
    with catalog.read() as session:
        found = session.execute(select(ListRecord, size).where(which).order_by(func.lower(ListRecord.name)))
        return [
            FeatureList(each.list_id, each.name, each.owner, each.created_at, each.changed_at, items)
            for each, items in found
        ]


def _changing(session: Session, list_id: int) -> ListRecord:
    """A list, locked and marked as changed now."""
    record = session.get(ListRecord, list_id, with_for_update=True)
    if record is None:
        raise _not_there(list_id)
    record.changed_at = datetime.now(UTC)
    return record


def _not_there(list_id: int) -> NotThere:
    return NotThere(f"There is no list {list_id}: somebody may have removed it. Reload the lists.")


def _check_name(name: str) -> str:
    name = name.strip()
    check_text("The list's name", name, NAME_LIMIT)
    if not name:
        raise BadInput("The list's name is empty: give it one.")
    return name
