"""People with an account: their roles, the hash of their password (made elsewhere), and the end of their logins."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.records import PersonRecord
from catalog.texts import AUTHOR_LIMIT, check_text
from loaders.errors import BadInput

ROLES = ("viewer", "labeller", "admin")
"""Each may do what the ones before it may."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")  # an e-mail address too: proxies name people so


class Person(NamedTuple):
    """An account. A login holds the `session_epoch` of its time and is over once the account has another one."""

    name: str
    display_name: str
    role: str
    password_hash: str | None
    session_epoch: int
    created_at: datetime
    disabled_at: datetime | None

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None


def lower_role(one: str, other: str) -> str:
    """The role of the two that may do less."""
    return min(one, other, key=ROLES.index)


def check_name(name: str) -> str:
    """The name as it is kept (stripped, lower case). Raises BadInput for one that no account can have."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadInput("An account's name has 1 to 64 of a-z 0-9 . _ - @ + and begins with a letter or digit.")
    return name


def add_person(
    catalog: Catalog, name: str, *, role: str = "labeller", display_name: str = "", password_hash: str | None = None
) -> Person:
    """Make an account. Raises BadInput for a name or role that cannot be, or that is taken."""
    name, display_name = check_name(name), display_name.strip() or name
    _check_role(role)
    check_text("The displayed name", display_name, AUTHOR_LIMIT)
    person = Person(name, display_name, role, password_hash, 1, datetime.now(UTC), None)
    try:
        with catalog.write() as session:
            session.add(PersonRecord(**person._asdict()))
    except IntegrityError as error:
        raise BadInput(f"There is an account '{name}' already: choose another name.") from error
    return person


def get_person(catalog: Catalog, name: str) -> Person | None:
    """The account of that name (upper and lower case alike), a disabled one included; None where there is none."""
    with catalog.read() as session:
        record = session.get(PersonRecord, name.strip().lower())
        return None if record is None else person_of(record)


def people(catalog: Catalog) -> list[Person]:
    """All accounts by name."""
    with catalog.read() as session:
        return [person_of(record) for record in session.scalars(select(PersonRecord).order_by(PersonRecord.name))]


def set_role(catalog: Catalog, name: str, role: str) -> Person:
    """Give somebody another role. Raises NotThere, and BadInput where no enabled admin would be left."""
    _check_role(role)
    with catalog.write() as session:
        record = _locked(session, name)
        _require_other_admin(session, record, still_admin=role == "admin" and record.disabled_at is None)
        record.role = role
        return person_of(record)


def set_display_name(catalog: Catalog, name: str, display_name: str) -> Person:
    """Change how somebody is shown. Raises NotThere, BadInput."""
    check_text("The displayed name", display_name.strip(), AUTHOR_LIMIT)
    with catalog.write() as session:
        record = _locked(session, name)
        record.display_name = display_name.strip() or record.name
        return person_of(record)


def set_password_hash(catalog: Catalog, name: str, password_hash: str | None, ends_sessions: bool = True) -> Person:
    """Keep a new password's hash, which ends all logins; `ends_sessions` False is for the same password hashed anew.

    Raises NotThere.
    """
    with catalog.write() as session:
        record = _locked(session, name)
        record.password_hash = password_hash
        record.session_epoch += ends_sessions
        return person_of(record)


def set_disabled(catalog: Catalog, name: str, is_disabled: bool) -> Person:
    """Shut an account, which ends its logins, or open it again. Raises NotThere, and BadInput for the last enabled admin."""
    with catalog.write() as session:
        record = _locked(session, name)
        if is_disabled:
            _require_other_admin(session, record, still_admin=False)
            record.disabled_at = record.disabled_at or datetime.now(UTC)
            record.session_epoch += 1
        else:
            record.disabled_at = None
        return person_of(record)


def end_sessions(catalog: Catalog, name: str) -> Person:
    """End all logins of somebody, here and on every other worker. Raises NotThere."""
    with catalog.write() as session:
        record = _locked(session, name)
        record.session_epoch += 1
        return person_of(record)


def person_of(record: PersonRecord) -> Person:
    """An account as the database keeps it."""
    return Person(*(getattr(record, field) for field in Person._fields))


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise BadInput(f"A role is {', '.join(ROLES)}: found '{role}'.")


def _locked(session: Session, name: str) -> PersonRecord:
    record = session.get(PersonRecord, name.strip().lower(), with_for_update=True)
    if record is None:
        raise NotThere(f"There is no account '{name.strip()[:64]}': `loupe users list` shows all of them.")
    return record


def _require_other_admin(session: Session, record: PersonRecord, still_admin: bool) -> None:
    """Raise BadInput where the change would leave no enabled admin."""
    if record.role != "admin" or record.disabled_at is not None or still_admin:
        return
    admins = select(PersonRecord).where(PersonRecord.role == "admin", PersonRecord.disabled_at.is_(None))
    locked = session.scalars(admins.order_by(PersonRecord.name).with_for_update()).all()
    if all(each.name == record.name for each in locked):
        raise BadInput(f"'{record.name}' is the only enabled admin: make somebody else an admin first.")
