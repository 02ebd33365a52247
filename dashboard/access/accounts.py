"""What the gate asks the catalog: are there people, who is behind a name or a token, may they try to log in again."""

import secrets
import time
import unicodedata
from datetime import timedelta
from typing import cast
from weakref import WeakKeyDictionary

from flask import current_app, request

from catalog import people, tokens
from catalog.attempts import forget_attempts, try_under
from catalog.catalog import Catalog
from catalog.people import ROLES, Person, lower_role
from catalog.settings import setting_once
from dashboard.access.errors import Refused, Unknown
from dashboard.access.passwords import hash_password, matches
from dashboard.access.rules import Rules
from dashboard.access.visitor import Visitor

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
    return bool(people.people(catalog))


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
    person = people.get_person(catalog(), name)
    return person if person is not None and person.is_enabled else None


def visitor_of(person: Person, source: str, role: str | None = None) -> Visitor:
    """The person as a visitor, with their role or a smaller one."""
    return Visitor(person.name, person.display_name, lower_role(person.role, role or person.role), source)


def by_token(secret: str) -> Visitor:
    """Whoever the token belongs to. Raises Unknown for one that is unknown, revoked, over, or whose person is gone."""
    found = tokens.use_token(catalog(), secret) if secret.isprintable() else None
    if found is None:
        raise Unknown(
            "This token is not good, or not any more: an admin makes a new one with `loupe users tokens add`."
        )
    token, person = found
    return visitor_of(person, "token", token.role)


def by_proxy(name: str, rules: Rules) -> Visitor:
    """Whoever the proxy vouches for. Raises Refused for somebody without a role here."""
    person = people.get_person(catalog(), name)
    if person is not None and not person.is_enabled:
        raise Refused(f"'{person.name}' was disabled here: an admin can change that.")
    role = request.headers.get(rules.role_header, "").strip() if rules.role_header else person.role if person else ""
    if role not in ROLES or not is_name(name):
        raise Refused(f"'{name[:40]}' has no role here: an admin gives one with `loupe users add`.")
    return Visitor(name, name, role, "proxy") if person is None else visitor_of(person, "proxy")._replace(role=role)


def is_name(text: str) -> bool:
    """Whether a proxy's word can be a name: printable, without spaces at its ends, not too long."""
    printable = all(unicodedata.category(character)[0] != "C" for character in text)
    return bool(text) and printable and text == text.strip() and len(text) <= NAME_LIMIT


def seconds_to_wait(name: str) -> int:
    """Count a try to log in; 0, or the seconds until this name may be tried again from this address.

    It is counted before the password is looked at: many tries at once must not slip through.
    """
    by_address = try_under(catalog(), [_address_key()], TRIES_PER_ADDRESS, WINDOW)
    wait = by_address or try_under(catalog(), [_name_key(name)], TRIES_PER_NAME, WINDOW)
    return max(1, round(wait)) if wait else 0


def check(name: str, password: str) -> Person | None:
    """The person whose name and password these are. It takes as long for a name that nobody has."""
    person = find(name)
    if not matches(password, person.password_hash if person else None) or person is None:
        return None
    forget_attempts(catalog(), [_name_key(name), _address_key()])
    return person


def end_sessions(name: str) -> None:
    """End all sessions of a person."""
    people.end_sessions(catalog(), name)


def change_password(name: str, password: str) -> Person:
    """Keep the new password, which ends all sessions. Raises BadInput for one that cannot be."""
    return people.set_password_hash(catalog(), name, hash_password(password))


def signing_key(catalog: Catalog) -> str:
    """The key that signs sessions, the same for all workers and after a restart."""
    return setting_once(catalog, "session_key", lambda: secrets.token_hex(32))


def _name_key(name: str) -> str:
    return f"name:{name.strip().lower()}"


def _address_key() -> str:
    return f"address:{request.remote_addr}"
