"""API tokens: a secret that is shown once and kept as its sha256, with a role no higher than its person's."""

import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import select

from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.people import Person, check_name, lower_role, person_of
from catalog.records import PersonRecord, TokenRecord
from catalog.texts import check_text
from loaders.errors import BadInput

PREFIX = "loupe_"
TITLE_LIMIT = 100
USED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a token was last used; more would be a write for every request."""


class Token(NamedTuple):
    """A token without its secret. `role` is what it may do now: never more than its person."""

    token_id: int
    person: str
    title: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor past its time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class NewToken(NamedTuple):
    """A token that was just made, and its secret, which nobody can see again."""

    token: Token
    secret: str


def make_token(catalog: Catalog, person: str, title: str, role: str, *, expires_at: datetime | None = None) -> NewToken:
    """Make a token. Raises NotThere without such an account, BadInput for a role above its person's or a bad title."""
    title = title.strip()
    check_text("The token's title", title, TITLE_LIMIT)
    if not title:
        raise BadInput("The token's title is empty: say what it is for.")
    secret = PREFIX + secrets.token_urlsafe(32)
    with catalog.write() as session:
        owner = session.get(PersonRecord, check_name(person), with_for_update=True)
        if owner is None or owner.disabled_at is not None:
            raise NotThere(f"There is no enabled account '{person}' that could have a token.")
        if lower_role(role, owner.role) != role:
            raise BadInput(f"A token of '{owner.name}' may be {owner.role} at most: found {role}.")
        record = TokenRecord(
            person=owner.name,
            title=title,
            role=role,
            secret_sha256=_hashed(secret),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        session.add(record)
        session.flush()
        return NewToken(_token(record, owner.role), secret)


def use_token(catalog: Catalog, secret: str, now: datetime | None = None) -> tuple[Token, Person] | None:
    """The token of a secret and its person; None where it is unknown, revoked, past its time or its account shut."""
    now = now or datetime.now(UTC)
    query = (
        select(TokenRecord, PersonRecord)
        .join(PersonRecord, PersonRecord.name == TokenRecord.person)
        .where(TokenRecord.secret_sha256 == _hashed(secret))
    )
    with catalog.read() as session:
        found = session.execute(query).one_or_none()
        if found is None:
            return None
        token, person = _token(found[0], found[1].role), person_of(found[1])
    if not token.is_valid(now) or not person.is_enabled:
        return None
    if token.last_used_at is None or now - token.last_used_at >= USED_EVERY:
        with catalog.write() as session:
            session.get_one(TokenRecord, token.token_id, with_for_update=True).last_used_at = now
    return token, person


def revoke_token(catalog: Catalog, token_id: int, person: str | None = None) -> Token:
    """End a token for good. With `person` only one of theirs. Raises NotThere."""
    with catalog.write() as session:
        record = session.get(TokenRecord, token_id, with_for_update=True)
        if record is None or (person is not None and record.person != person.strip().lower()):
            raise NotThere(f"There is no token {token_id}" + (f" of '{person}'." if person else "."))
        record.revoked_at = record.revoked_at or datetime.now(UTC)
        return _token(record, session.get_one(PersonRecord, record.person).role)


def tokens(catalog: Catalog, person: str | None = None) -> list[Token]:
    """All tokens, of everybody or of one person, the latest first; ended ones included."""
    query = select(TokenRecord, PersonRecord.role).join(PersonRecord, PersonRecord.name == TokenRecord.person)
    query = query if person is None else query.where(TokenRecord.person == person.strip().lower())
    with catalog.read() as session:
        return [_token(record, role) for record, role in session.execute(query.order_by(TokenRecord.token_id.desc()))]


def _hashed(secret: str) -> str:
    # No slow hash is needed: the secret is 256 random bits, which nobody can guess from its sha256.
    return sha256(secret.encode()).hexdigest()


def _token(record: TokenRecord, role_of_person: str) -> Token:
    found = Token(*(getattr(record, field) for field in Token._fields))
    return found._replace(role=lower_role(record.role, role_of_person))
