"""The one gate: before any route of this server or of the framework, it finds out who asks and whether they may."""

import logging
import secrets
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, g, redirect, request, session

from catalog.errors import CatalogUnavailable
from catalog.people import ROLES
from dashboard.access import accounts, proxy, sessions
from dashboard.access.errors import Refused, Unknown
from dashboard.access.rules import Rules, is_loopback, names_this_machine
from dashboard.access.visitor import INSIDE, LOCAL, NOBODY, Visitor, require
from dashboard.error_page import answer_refused
from loaders.errors import LoupeError

LOGIN = frozenset({"access.login", "access.log_in"})
NOT_ASKED = frozenset({"access.style", "health", "health_live"})
"""Beside the log-in page the only endpoints for everybody: its style, and whether the server lives, catalog or not."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CALLBACKS = "/_dash-update-component"
WRITES_ARE_MARKED = frozenset({CALLBACKS, "access.log_out", "access.change_password", "api.unknown"})
"""Endpoints whose unsafe methods every visitor may call: each writing callback asks for its own role (`requires`)."""

CSRF_COOKIE, CSRF_HEADER, CSRF_FIELD = "_csrf_token", "X-CSRFToken", "csrf_token"  # the names that Dash's client knows
NO_CATALOG = "The catalog cannot be reached, so nothing was read or saved: try again in a few seconds."
INSIDE_KEY = "loupe.inside"
"""Key of the WSGI environment by which the server asks itself; no header can set it."""
log = logging.getLogger("loupe")


def install(server: Flask) -> None:
    """Put the gate before every route; to be called before anything else adds routes or checks.

    `server.config["LOUPE"]` holds the catalog and, as "rules", the `Rules`; both are read at every request.
    """
    sessions.set_up(server, accounts.signing_key(server.config["LOUPE"]["catalog"]), rules_of(server))
    server.before_request(check)
    server.after_request(keep_private)
    server.wsgi_app = proxy.TrustedProxy(server.wsgi_app, rules_of(server))  # type: ignore[method-assign]


def rules_of(server: Flask) -> Rules:
    """The rules that this server was started with."""
    found = server.config["LOUPE"].get("rules")
    return found if found is not None else Rules()


def check() -> Any:
    """None to let the request through, or the answer that keeps it out."""
    g.loupe_visitor = NOBODY
    if request.endpoint in NOT_ASKED:
        return None
    try:
        asking = identify(rules_of(current_app))
        g.loupe_visitor = asking or NOBODY
        if request.endpoint in LOGIN:
            return None
        if asking is None:
            raise Unknown("Nobody is logged in: log in, or send a token as 'Authorization: Bearer ...'.")
        if request.method not in SAFE_METHODS and asking.source in ("session", "proxy"):
            require_csrf_token()
        require(needed_role())
    except Unknown as error:
        return _ask_to_log_in(error)
    except Refused as error:
        return answer_refused(403, str(error))
    except CatalogUnavailable as error:  # nobody can be told apart, so nobody is let in, or told where the catalog is
        log.warning("gate: the catalog cannot be used", exc_info=error)
        return answer_refused(503, NO_CATALOG)
    except LoupeError as error:
        return answer_refused(503, str(error))
    return None


def identify(rules: Rules) -> Visitor | None:
    """Who asks, or None. Raises Unknown for a token that is not good, Refused for a header from the wrong place."""
    if request.environ.get(INSIDE_KEY):
        return INSIDE
    named = request.headers.get(rules.user_header, "").strip() if rules.user_header else ""
    if named and not rules.trusts(proxy.peer()):
        raise Refused(f"The header {rules.user_header} is believed only from the configured proxy.")
    if not rules.user_header and not accounts.exist():
        return _at_this_machine(rules)
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        asking = accounts.by_token(secret.strip())
    elif named:
        asking = accounts.by_proxy(named, rules)
    else:
        asking = sessions.by_session()
    if asking is None:
        asking = Visitor("guest", "guest", "viewer", "open") if rules.is_open else None
    return asking and asking._replace(is_read_only=rules.is_read_only)


def _at_this_machine(rules: Rules) -> Visitor:
    """Whoever sits at the machine; without accounts nobody else is let in unless the server was opened on purpose."""
    host = str(request.environ.get("SERVER_NAME", ""))
    if not rules.is_open and not is_loopback(host):
        raise Refused(
            f"This server listens on '{host}', has no accounts and was not opened: add people with `loupe users add`, "
            "or set LOUPE_OPEN=1 to let everybody in."
        )
    if not rules.is_open and not names_this_machine(request.host, rules.hosts):
        raise Refused(
            f"This server is for this machine alone and was asked for as '{request.host[:80]}': open it as localhost, or name "
            "that host in LOUPE_HOSTS."
        )
    return LOCAL._replace(is_read_only=rules.is_read_only)


def needed_role() -> str:
    """The role that the requested route and method need; a writing route that nobody declared is for admins."""
    method = "GET" if request.method in SAFE_METHODS else request.method
    is_harmless = method == "GET" or request.endpoint is None or request.endpoint in WRITES_ARE_MARKED
    declared = current_app.config.get("LOUPE_ROLES", {})
    return str(declared.get((method, request.endpoint), ROLES[0] if is_harmless else ROLES[-1]))


def declare_role(server: Flask, method: str, endpoint: str, role: str) -> None:
    """State which role a route needs; the default is 'viewer' for reading and 'admin' for everything else."""
    server.config.setdefault("LOUPE_ROLES", {})[method, endpoint] = role


def csrf_token() -> str:
    """The token of this session, which the server's own pages send along with whatever changes something."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(32)
    return str(session["csrf"])


def require_csrf_token() -> None:
    """Raise Refused unless the request carries its session's token in the header or in the form."""
    sent = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not secrets.compare_digest(sent.encode(), str(session.get("csrf", "")).encode()) or not sent:
        raise Refused("This request does not come from a page of this server: reload the page and try again.")


def keep_private(response: Response) -> Response:
    """Keep what a person sees out of shared caches, and give their pages the token to write with."""
    asking = g.get("loupe_visitor")
    if asking is None or not asking.is_person:
        return response
    kept = response.headers.get("Cache-Control", "no-store")
    response.headers["Cache-Control"] = kept.replace("public", "private") if "private" not in kept else kept
    if response.mimetype == "text/html" and asking.source in ("session", "proxy"):
        token = csrf_token()
        if request.cookies.get(CSRF_COOKIE) != token:
            secure = request.is_secure or rules_of(current_app).is_https
            response.set_cookie(CSRF_COOKIE, token, samesite="Strict", secure=secure)
    return response


def _ask_to_log_in(error: Unknown) -> Any:
    wants_page = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    if wants_page and not rules_of(current_app).user_header:
        here = request.full_path.rstrip("?")
        return redirect(f"/login?next={quote(here, safe='')}" if here != "/" else "/login")
    response = answer_refused(401, str(error))
    response.headers["WWW-Authenticate"] = 'Bearer realm="Loupe"'
    return response
