"""Lets transactions that concern the same thing follow each other, where what they read decides what they write."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session


def take_turns(session: Session, keys: Iterable[str]) -> None:
    """Wait for every transaction that took its turn under one of the keys; until the end of this one, others wait for it.

    On SQLite all transactions that write follow each other anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        for key in sorted(set(keys)):  # in one order for all, so that no two wait for each other
            session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})
