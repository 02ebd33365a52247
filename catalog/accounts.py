"""People, API tokens, tries to log in and the key that signs sessions: what the server's gate asks the catalog."""

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from weakref import WeakSet

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from catalog.catalog import Catalog, get_or_add
from catalog.records import Record
from loaders.errors import BadInput

_prepared: WeakSet[Catalog] = WeakSet()


class PersonRecord(Record):
    """Somebody with an account; a new `session_epoch` ends their sessions."""

    __tablename__ = "people"

    name: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    session_epoch: Mapped[int]


class TokenRecord(Record):
    """An API token: only its hash is kept."""

    __tablename__ = "api_tokens"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    person: Mapped[str]
    role: Mapped[str]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AttemptRecord(Record):
    """One failed try to log in, by name or by address."""

    __tablename__ = "login_attempts"

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    at: Mapped[datetime]


class SettingRecord(Record):
    """One value that all processes share."""

    __tablename__ = "settings"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Person(NamedTuple):
    """One account."""

    name: str
    display_name: str
    role: str
    password_hash: str | None
    disabled_at: datetime | None
    session_epoch: int


class Token(NamedTuple):
    """One API token; `sha256` names it."""

    sha256: str
    person: str
    role: str
    expires_at: datetime
    revoked_at: datetime | None


def prepare(catalog: Catalog) -> None:
    """Make the tables where they are missing."""
    if catalog not in _prepared:
        with catalog.write() as session:
            Record.metadata.create_all(session.connection())
        _prepared.add(catalog)


def people(catalog: Catalog) -> list[Person]:
    """All accounts by name."""
    prepare(catalog)
    with catalog.read() as session:
        return [_person(record) for record in session.scalars(select(PersonRecord).order_by(PersonRecord.name))]


def find_person(catalog: Catalog, name: str) -> Person | None:
    """The account of that name, disabled or not."""
    prepare(catalog)
    with catalog.read() as session:
        found = session.get(PersonRecord, name)
        return None if found is None else _person(found)


def add_person(catalog: Catalog, name: str, display_name: str, role: str, password_hash: str | None) -> None:
    """Add an account. Raises BadInput where the name is taken."""
    prepare(catalog)
    with catalog.write() as session:
        if session.get(PersonRecord, name) is not None:
            raise BadInput(f"There is a person '{name}' already: change them with `loupe users role` or `password`.")
        session.add(
            PersonRecord(
                name=name,
                display_name=display_name,
                role=role,
                password_hash=password_hash,
                disabled_at=None,
                session_epoch=1,
            )
        )


def change_person(catalog: Catalog, name: str, **values: object) -> Person:
    """Change an account and end its sessions. Raises BadInput for an unknown name."""
    prepare(catalog)
    with catalog.write() as session:
        found = session.get(PersonRecord, name, with_for_update=True)
        if found is None:
            raise BadInput(f"There is no person '{name}': `loupe users list` names them.")
        for field, value in values.items():
            setattr(found, field, value)
        found.session_epoch += 1
        return _person(found)


def add_token(catalog: Catalog, person: str, role: str, expires_at: datetime) -> str:
    """Make a token and return it; it can never be read again."""
    prepare(catalog)
    token = "loupe_" + secrets.token_urlsafe(32)
    with catalog.write() as session:
        session.add(
            TokenRecord(
                sha256=sha256(token.encode()).hexdigest(),
                person=person,
                role=role,
                expires_at=expires_at,
                revoked_at=None,
            )
        )
    return token


def find_token(catalog: Catalog, token: str) -> Token | None:
    """The record of a token."""
    prepare(catalog)
    with catalog.read() as session:
        found = session.get(TokenRecord, sha256(token.encode()).hexdigest())
        return None if found is None else Token(*(getattr(found, field) for field in Token._fields))


def tokens(catalog: Catalog) -> list[Token]:
    """All tokens, those that end first before the others."""
    prepare(catalog)
    with catalog.read() as session:
        records = session.scalars(select(TokenRecord).order_by(TokenRecord.expires_at))
        return [Token(*(getattr(record, field) for field in Token._fields)) for record in records]


def revoke_token(catalog: Catalog, start: str) -> int:
    """Revoke the tokens whose hash starts so; returns how many there were."""
    prepare(catalog)
    with catalog.write() as session:
        found = session.scalars(select(TokenRecord).where(TokenRecord.sha256.startswith(start, autoescape=True))).all()
        for record in found:
            record.revoked_at = record.revoked_at or datetime.now(UTC)
        return len(found)


def note_attempt(catalog: Catalog, keys: tuple[str, ...], window: timedelta) -> None:
    """Note a failed try under every key, and forget those older than the window."""
    prepare(catalog)
    now = datetime.now(UTC)
    with catalog.write() as session:
        session.execute(delete(AttemptRecord).where(AttemptRecord.at < now - window))
        session.add_all(AttemptRecord(id=secrets.token_hex(16), key=key, at=now) for key in keys)


def attempts(catalog: Catalog, key: str, window: timedelta) -> tuple[int, datetime | None]:
    """How many tries there were under a key within the window, and when the first of them was."""
    prepare(catalog)
    query = select(func.count(), func.min(AttemptRecord.at)).where(
        AttemptRecord.key == key, AttemptRecord.at >= datetime.now(UTC) - window
    )
    with catalog.read() as session:
        count, first = session.execute(query).one()
        return int(count), first


def forget_attempts(catalog: Catalog, key: str) -> None:
    """Forget the tries under a key: somebody logged in."""
    prepare(catalog)
    with catalog.write() as session:
        session.execute(delete(AttemptRecord).where(AttemptRecord.key == key))


def signing_key(catalog: Catalog) -> str:
    """The key that signs sessions, made once for all processes."""
    prepare(catalog)
    with catalog.write() as session:
        return get_or_add(session, SettingRecord(name="signing_key", value=secrets.token_hex(32)), "signing_key").value


def _person(record: PersonRecord) -> Person:
    return Person(*(getattr(record, field) for field in Person._fields))
