"""Who works on which feature: claims that expire, so that nobody does the same twice and nothing stays taken for ever."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple, TypeVar

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.records import BlindLabelRecord, ClaimRecord, VerdictRecord
from catalog.texts import check_person
from catalog.turns import take_turns

CLAIM = timedelta(minutes=30)
"""How long a feature stays somebody's without a sign of life."""
SLOTS = {False: (0,), True: (0, 1)}
"""A double-blind feature is for two people at once."""
R = TypeVar("R", ClaimRecord, BlindLabelRecord)


class Claim(NamedTuple):
    """A feature that somebody works on; a blind one goes to `catalog.reviews.submit_blind`, not to `put_label`."""

    feature_id: int
    person: str
    is_blind: bool
    claimed_at: datetime
    expires_at: datetime


def is_double_blind(sae_fingerprint: str, feature_id: int, share: float) -> bool:
    """Whether a feature is among the `share` (0 to 1) that two people label without seeing each other's: always the same
    ones, evenly spread, and those of a smaller share are among those of a larger."""
    drawn = int.from_bytes(sha256(f"{sae_fingerprint} {feature_id}".encode()).digest()[:8])
    return drawn < share * 2**64


def claim_next(
    catalog: Catalog,
    sae_fingerprint: str,
    candidates: Sequence[int],
    person: str,
    *,
    blind_share: float = 0.0,
    lasts: timedelta = CLAIM,
    now: datetime | None = None,
) -> Claim | None:
    """Take the first of the candidates (features without a label, the most valuable first) that is free; None where none is.

    A claim that the person has on one of the candidates is returned, renewed, before another is taken. A double-blind
    feature is free for two different people, also after the first has spoken.
    """
    person, now = check_person("The person", person), now or datetime.now(UTC)
    with catalog.write() as session:
        take_queue_turn(session, sae_fingerprint)
        session.execute(
            delete(ClaimRecord).where(ClaimRecord.sae_fingerprint == sae_fingerprint, ClaimRecord.expires_at <= now)
        )
        claimed = _by_feature(session.scalars(_claims(sae_fingerprint)))
        spoken = _by_feature(
            session.scalars(select(BlindLabelRecord).where(BlindLabelRecord.sae_fingerprint == sae_fingerprint))
        )
        decided = set(
            session.scalars(select(VerdictRecord.feature_id).where(VerdictRecord.sae_fingerprint == sae_fingerprint))
        )
        wanted = set(candidates)
        for feature_id, records in claimed.items():
            for record in records:
                if record.person == person and feature_id in wanted:
                    record.expires_at = now + lasts
                    return _claim(record)
        for feature_id in candidates:
            there = [*claimed.get(feature_id, ()), *spoken.get(feature_id, ())]
            is_blind = feature_id not in decided and (
                feature_id in spoken
                or any(each.is_blind for each in claimed.get(feature_id, ()))
                or (not there and is_double_blind(sae_fingerprint, feature_id, blind_share))
            )
            taken = there if is_blind else claimed.get(feature_id, [])
            free = sorted(set(SLOTS[is_blind]) - {each.slot for each in taken})
            if not free or any(each.person == person for each in taken):
                continue
            record = ClaimRecord(
                sae_fingerprint=sae_fingerprint,
                feature_id=feature_id,
                slot=free[0],
                person=person,
                is_blind=is_blind,
                claimed_at=now,
                expires_at=now + lasts,
            )
            session.add(record)
            return _claim(record)
    return None


def take_queue_turn(session: Session, sae_fingerprint: str) -> None:
    """Let claims and blind labels of one SAE follow each other: who has a place decides who gets one."""
    take_turns(session, [f"queue {sae_fingerprint}"])


def renew_claim(
    catalog: Catalog,
    sae_fingerprint: str,
    feature_id: int,
    person: str,
    *,
    lasts: timedelta = CLAIM,
    now: datetime | None = None,
) -> bool:
    """Keep a feature for longer; False where it is no longer this person's."""
    now = now or datetime.now(UTC)
    with catalog.write() as session:
        query = _claims(sae_fingerprint).where(
            ClaimRecord.feature_id == feature_id, ClaimRecord.person == person.strip()
        )
        record = session.scalar(query.with_for_update())
        if record is None or record.expires_at <= now:
            return False
        record.expires_at = now + lasts
        return True


def release_claim(catalog: Catalog, sae_fingerprint: str, feature_id: int, person: str) -> None:
    """Let others have a feature: it is done, or was skipped."""
    with catalog.write() as session:
        session.execute(
            delete(ClaimRecord).where(
                ClaimRecord.sae_fingerprint == sae_fingerprint,
                ClaimRecord.feature_id == feature_id,
                ClaimRecord.person == person.strip(),
            )
        )


def claims_of(catalog: Catalog, sae_fingerprint: str, now: datetime | None = None) -> list[Claim]:
    """The live claims on an SAE's features, by feature."""
    now = now or datetime.now(UTC)
    query = _claims(sae_fingerprint).where(ClaimRecord.expires_at > now)
    with catalog.read() as session:
        return [_claim(record) for record in session.scalars(query.order_by(ClaimRecord.feature_id, ClaimRecord.slot))]


def _claims(sae_fingerprint: str) -> Select[ClaimRecord]:
    return select(ClaimRecord).where(ClaimRecord.sae_fingerprint == sae_fingerprint)


def _by_feature(records: Iterable[R]) -> dict[int, list[R]]:
    found: dict[int, list[R]] = {}
    for record in records:
        found.setdefault(record.feature_id, []).append(record)
    return found


def _claim(record: ClaimRecord) -> Claim:
    return Claim(*(getattr(record, field) for field in Claim._fields))
