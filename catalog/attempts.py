"""Limits how often something (a login) may be tried under a key; all workers and servers count together."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.records import AttemptRecord
from catalog.turns import take_turns
from loaders.errors import BadInput

KEPT = timedelta(days=1)
"""The longest window; older attempts are removed along the way."""
AT_ONCE = 1_000


def try_under(
    catalog: Catalog, keys: Sequence[str], most: int, window: timedelta, now: datetime | None = None
) -> float:
    """Count one attempt under each key and return 0.0, or count none and return the seconds to wait.

    An attempt is allowed where fewer than `most` were made under every key within the last `window`. Keys are whatever
    the caller limits by, such as `name:ada` and `address:10.0.0.7`. Raises BadInput for a window of more than a day.
    """
    if window > KEPT:
        raise BadInput(f"Attempts are kept for {KEPT.days} day: a window of {window} cannot be counted.")
    now = now or datetime.now(UTC)
    with catalog.write() as session:
        take_turns(session, keys)
        old = select(AttemptRecord.attempt_id).where(AttemptRecord.made_at <= now - KEPT).limit(AT_ONCE)
        session.execute(
            delete(AttemptRecord).where(AttemptRecord.attempt_id.in_(old.with_for_update(skip_locked=True)))
        )
        waits = [_wait(session, key, most, window, now) for key in keys]
        if max(waits, default=0.0) > 0:
            return max(waits)
        session.add_all(AttemptRecord(key=key, made_at=now) for key in dict.fromkeys(keys))
    return 0.0


def forget_attempts(catalog: Catalog, keys: Sequence[str]) -> None:
    """Begin anew under these keys: it was the right person after all."""
    with catalog.write() as session:
        session.execute(delete(AttemptRecord).where(AttemptRecord.key.in_(keys)))


def _wait(session: Session, key: str, most: int, window: timedelta, now: datetime) -> float:
    recent = select(AttemptRecord.made_at).where(AttemptRecord.key == key, AttemptRecord.made_at > now - window)
    blocking = session.scalar(recent.order_by(AttemptRecord.made_at.desc()).offset(most - 1).limit(1))
    return 0.0 if blocking is None else max((blocking + window - now).total_seconds(), 0.001)
