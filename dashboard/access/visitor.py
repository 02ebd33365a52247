"""Who is asking and what they may do: read inside of a request, after the gate has found it out."""

from typing import NamedTuple, cast

from flask import g, has_request_context

from catalog.people import ROLES
from dashboard.access.errors import Refused

READ_ONLY = "This server is read-only: everything can be seen and nothing can be changed."


class Visitor(NamedTuple):
    """Somebody whom the gate let in. `name` signs labels where `source` is not 'local'.

    `source`: 'local' (no accounts), 'open' (a guest of an open server), 'session', 'token', 'proxy', 'inside' (the
    server's own warm-up) or 'none' (somebody before the log-in page).
    """

    name: str
    shown: str
    role: str
    source: str
    is_read_only: bool = False

    @property
    def is_person(self) -> bool:
        """Whether the name is known for certain, rather than typed by whoever sits there."""
        return self.source in ("session", "token", "proxy")

    def may(self, role: str) -> bool:
        """Whether they may do what `role` may."""
        allowed = "viewer" if self.is_read_only and self.role in ROLES else self.role
        return allowed in ROLES and ROLES.index(allowed) >= ROLES.index(role)


LOCAL = Visitor("local", "local", "admin", "local")
INSIDE = Visitor("loupe", "loupe", "viewer", "inside")
NOBODY = Visitor("nobody", "nobody", "none", "none")


def visitor() -> Visitor:
    """Who asks. Where no gate stands (a server made by hand), and outside of requests, the person at the machine."""
    return cast(Visitor, g.get("loupe_visitor", LOCAL)) if has_request_context() else LOCAL


def may(role: str) -> bool:
    """Whether who asks may do what `role` may."""
    return visitor().may(role)


def require(role: str) -> None:
    """Raise Refused, in words, unless who asks may do what `role` may."""
    asking = visitor()
    if asking.may(role):
        return
    if asking.is_read_only:
        raise Refused(READ_ONLY)
    if asking.source == "open":
        raise Refused(f"This needs the role '{role}': log in first.")
    raise Refused(f"This needs the role '{role}': {asking.shown} has '{asking.role}'. An admin can change that.")
