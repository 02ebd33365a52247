"""What the gate asks the catalog: are there people, who is behind a name or a token, may they try to log in again."""

import time
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import cast
from weakref import WeakKeyDictionary

from flask import current_app, request

from catalog import accounts as kept
from catalog.accounts import Person
from catalog.catalog import Catalog
from dashboard.access.errors import Refused, Unknown
from dashboard.access.passwords import hash_password, matches
from dashboard.access.rules import Rules
from dashboard.access.visitor import ROLES, Visitor

NAME_LIMIT = 100
RECHECK_SECONDS = 2.0
WINDOW = timedelta(minutes=15)
TRIES_PER_NAME, TRIES_PER_ADDRESS = 10, 50
_known: "WeakKeyDictionary[Catalog, tuple[bool, float]]" = WeakKeyDictionary()


def catalog() -> Catalog:
    """The server's catalog, whoever asks."""
    return cast(Catalog, current_app.config["LOUPE"]["catalog"])


def has_people(catalog: Catalog) -> bool:
    """Whether somebody has an account, disabled ones included: a server never falls open."""
    return bool(kept.people(catalog))


def exist() -> bool:
    """The same for the running server: once yes, always yes; a no is looked up again every two seconds."""
    found, looked_up = _known.get(catalog(), (False, 0.0))
    now = time.monotonic()
    if not found and now - looked_up > RECHECK_SECONDS:
        found = has_people(catalog())
        _known[catalog()] = (found, now)
    return found


def find(name: str) -> Person | None:
    """The person of that name who may log in."""
    person = kept.find_person(catalog(), name)
    return person if person is not None and person.disabled_at is None else None


def visitor_of(person: Person, source: str, role: str | None = None) -> Visitor:
    """The person as a visitor, with their role or a smaller one."""
    weaker = min(person.role, role or person.role, key=ROLES.index)
    return Visitor(person.name, person.display_name or person.name, weaker, source)


def by_token(secret: str) -> Visitor:
    """Whoever the token belongs to. Raises Unknown for one that is unknown, revoked, over, or whose person is gone."""
    token = kept.find_token(catalog(), secret) if secret.isprintable() else None
    person = find(token.person) if token is not None else None
    if token is None or person is None or token.revoked_at is not None or token.expires_at <= datetime.now(UTC):
        raise Unknown(
            "This token is not good, or not any more: an admin makes a new one with `loupe users tokens add`."
        )
    return visitor_of(person, "token", token.role)


def by_proxy(name: str, rules: Rules) -> Visitor:
    """Whoever the proxy vouches for. Raises Refused for somebody without a role here."""
    person = kept.find_person(catalog(), name)
    if person is not None and person.disabled_at is not None:
        raise Refused(f"'{name}' was disabled here: an admin can change that.")
    role = request.headers.get(rules.role_header, "").strip() if rules.role_header else person.role if person else ""
    if role not in ROLES or not is_name(name):
        raise Refused(f"'{name[:40]}' has no role here: an admin gives one with `loupe users add`.")
    return Visitor(name, person.display_name or name if person else name, role, "proxy")


def is_name(text: str) -> bool:
    """Whether a text can be a name: printable, without spaces at its ends, not too long."""
    printable = all(unicodedata.category(character)[0] != "C" for character in text)
    return bool(text) and printable and text == text.strip() and len(text) <= NAME_LIMIT


def check(name: str, password: str) -> Person | None:
    """The person whose name and password these are; a try that fails is counted, by name and by address.

    It takes as long for a name that nobody has.
    """
    keys = _keys(name)
    kept.note_attempt(catalog(), keys, WINDOW)  # before the check: many at once must not slip through
    person = find(name)
    if not matches(password, person.password_hash if person else None) or person is None:
        return None
    for key in keys:
        kept.forget_attempts(catalog(), key)
    return person


def seconds_to_wait(name: str) -> int:
    """Seconds until this name may be tried again from this address; 0 where it may now."""
    waits = []
    for key, most in zip(_keys(name), (TRIES_PER_NAME, TRIES_PER_ADDRESS), strict=True):
        count, first = kept.attempts(catalog(), key, WINDOW)
        if count >= most and first is not None:
            waits.append((first + WINDOW - datetime.now(UTC)).total_seconds())
    return max(1, round(max(waits))) if waits else 0


def end_sessions(name: str) -> None:
    """End all sessions of a person."""
    kept.change_person(catalog(), name)


def change_password(name: str, password: str) -> Person:
    """Keep the new password, which ends all sessions. Raises BadInput for one that cannot be."""
    return kept.change_person(catalog(), name, password_hash=hash_password(password))


def signing_key(catalog: Catalog) -> str:
    """The key that signs sessions, the same for all workers and after a restart."""
    return kept.signing_key(catalog)


def _keys(name: str) -> tuple[str, str]:
    return f"name:{name}", f"address:{request.remote_addr}"
