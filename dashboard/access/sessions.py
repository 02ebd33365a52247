"""Sessions: signed cookies that survive restarts, are the same for all workers and end when a password changes."""

from datetime import timedelta

import flask_login
from flask import Flask, Response, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from catalog.people import Person
from dashboard.access import accounts
from dashboard.access.rules import Rules
from dashboard.access.visitor import Visitor, visitor

LIFETIME = timedelta(days=14)
COOKIE = "loupe_session"


class Cookies(SecureCookieSessionInterface):
    """Flask's signed cookies, Secure whenever the visitor came over https."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure or self._rules.is_https

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Leave the answers to those without a session as they are, so that caches keep what is the same for all."""
        if session.modified or visitor().is_person:
            super().save_session(app, session, response)


class Account(flask_login.UserMixin):  # type: ignore[misc]
    """A person as the log-in library knows them; the id names the epoch, so that a new epoch ends every session."""

    def __init__(self, person: Person) -> None:
        self.person = person

    def get_id(self) -> str:
        return f"{self.person.session_epoch}:{self.person.name}"


def set_up(server: Flask, key: str, rules: Rules) -> None:
    """Give the server its cookies, signed with the catalog's key, and the log-in library."""
    server.secret_key = key
    server.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=LIFETIME,
    )
    server.session_interface = Cookies(rules)
    manager = flask_login.LoginManager(server)
    manager.session_protection = None  # a laptop changes its address; the epoch is what ends a session

    @manager.user_loader
    def load(session_id: str) -> Account | None:
        person = accounts.find(session_id.partition(":")[2])
        account = Account(person) if person else None
        return account if account and account.get_id() == session_id else None


def begin(person: Person) -> None:
    """Start a session for this person; what the cookie held before is gone."""
    session.clear()
    session.permanent = True
    flask_login.login_user(Account(person))


def end() -> None:
    """Forget the session in this browser."""
    flask_login.logout_user()
    session.clear()


def by_session() -> Visitor | None:
    """Whoever this request's session belongs to."""
    account = flask_login.current_user
    return accounts.visitor_of(account.person, "session") if account.is_authenticated else None
