"""Votes on versions of labels: one of each person, which may be changed or taken back."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select

from catalog.catalog import Catalog, get_or_add
from catalog.label_writes import newest_versions
from catalog.records import LabelRecord, VoteRecord
from catalog.texts import check_person
from loaders.errors import BadInput


class Vote(NamedTuple):
    """What one person thinks of one version of a label: 1 for, -1 against."""

    version: int
    person: str
    value: int
    voted_at: datetime


def put_vote(catalog: Catalog, sae_fingerprint: str, feature_id: int, version: int, person: str, value: int) -> None:
    """Vote for (1) or against (-1) a version, or take one's vote back (0). Raises BadInput for a version that is not there."""
    if value not in (-1, 0, 1):
        raise BadInput(f"A vote is 1, -1 or 0 to take it back: found {value}.")
    person, now = check_person("The voter", person), datetime.now(UTC)
    key = (sae_fingerprint, feature_id, version, person)
    with catalog.write() as session:
        if session.get(LabelRecord, key[:3]) is None:
            raise BadInput(f"Version {version} of this label does not exist: reload it and vote again.")
        if value == 0:
            if (record := session.get(VoteRecord, key, with_for_update=True)) is not None:
                session.delete(record)
            return
        new = VoteRecord(
            sae_fingerprint=sae_fingerprint,
            feature_id=feature_id,
            version=version,
            person=person,
            value=value,
            voted_at=now,
        )
        record = get_or_add(session, new, key)
        record.value, record.voted_at = value, now


def votes_on(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> list[Vote]:
    """All votes on all versions of a feature's label: newest version first, then in the order of the votes."""
    query = (
        select(VoteRecord)
        .where(VoteRecord.sae_fingerprint == sae_fingerprint, VoteRecord.feature_id == feature_id)
        .order_by(VoteRecord.version.desc(), VoteRecord.voted_at, VoteRecord.person)
    )
    with catalog.read() as session:
        return [Vote(each.version, each.person, each.value, each.voted_at) for each in session.scalars(query)]


def scores_of(catalog: Catalog, sae_fingerprint: str) -> dict[int, int]:
    """Votes for minus votes against the newest label, by feature, where anybody has voted on it."""
    newest = newest_versions(sae_fingerprint).where(LabelRecord.name != "").subquery()
    query = (
        select(VoteRecord.feature_id, func.sum(VoteRecord.value))
        .join(newest, (VoteRecord.feature_id == newest.c.feature_id) & (VoteRecord.version == newest.c.version))
        .where(VoteRecord.sae_fingerprint == sae_fingerprint)
        .group_by(VoteRecord.feature_id)
    )
    with catalog.read() as session:
        return {feature_id: int(score) for feature_id, score in session.execute(query)}
