"""Plain pages that work before the dashboard is let in: log in, log out, one's own account."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from dashboard import urls
from dashboard.access import accounts, gate, sessions
from dashboard.access.errors import Refused
from dashboard.access.passwords import LONGEST, SHORTEST
from dashboard.access.visitor import READ_ONLY, visitor
from dashboard.theme_script import THEME_SCRIPT, script_hash
from loaders.errors import BadInput

POLICY = (
    f"default-src 'none'; script-src {script_hash(THEME_SCRIPT)}; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
WRONG = "That name and password do not belong together."
HERE = Path(__file__).parent
pages = Blueprint("access", __name__, template_folder="templates")


def register(server: Flask) -> None:
    """Add the pages to a server that has the gate."""
    server.register_blueprint(pages)


@pages.get("/login")
def login() -> ResponseReturnValue:
    """The form; whoever is known already goes on to where they wanted."""
    target = local_path(request.args.get("next"))
    if visitor().source not in ("none", "open"):
        return redirect(target)
    return show("login.html", target=target)


@pages.post("/login")
def log_in() -> ResponseReturnValue:
    """Check name and password; both limits of tries count before the password is looked at."""
    target, name = local_path(request.form.get("next")), request.form.get("name", "").strip()[: accounts.NAME_LIMIT]
    try:
        gate.require_csrf_token()
    except Refused:
        return show("login.html", 403, target=target, name=name, said="This form was too old. Please try again.")
    wait = accounts.seconds_to_wait(name)
    if wait:
        minutes = -(-wait // 60)
        said = f"Too many tries. Wait {minutes} min and try again; an admin can set a new password."
        response = show("login.html", 429, target=target, name=name, said=said)
        response.headers["Retry-After"] = str(wait)
        return response
    person = accounts.check(name, request.form.get("password", ""))
    if person is None:
        return show("login.html", 401, target=target, name=name, said=WRONG)
    sessions.begin(person)
    return redirect(target, 303)


@pages.post("/logout")
def log_out() -> ResponseReturnValue:
    """End every session of this person: a copied cookie is worth nothing afterwards."""
    if visitor().source == "session":
        accounts.end_sessions(visitor().name)
    sessions.end()
    return redirect("/login", 303)


@pages.get("/account")
def account() -> ResponseReturnValue:
    """Who one is here, and the form for a new password."""
    return show("account.html", asking=visitor())


@pages.post("/account")
def change_password() -> ResponseReturnValue:
    """Set one's own new password, which ends every other session."""
    asking = visitor()
    if asking.is_read_only:
        raise Refused(READ_ONLY)
    if asking.source != "session":
        raise Refused("Only who logged in with a password here can change it.")
    old, new, again = (request.form.get(field, "") for field in ("password", "new", "again"))
    try:
        if new != again:
            raise BadInput("The two new passwords differ.")
        if accounts.seconds_to_wait(asking.name) or accounts.check(asking.name, old) is None:
            raise BadInput("The present password is not right.")
        sessions.begin(accounts.change_password(asking.name, new))
    except BadInput as error:
        return show("account.html", 400, asking=asking, said=str(error))
    return show("account.html", asking=asking, done="Your password is changed. Every other session was logged out.")


@pages.get("/login.css")
def style() -> Response:
    """Colours and style of these pages; the only style that is open."""
    response = Response(read_style(), mimetype="text/css")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@cache
def read_style() -> str:
    """The dashboard's colours and what these pages add."""
    return "".join(part.read_text("utf-8") for part in (HERE.parents[1] / "assets" / "colours.css", HERE / "login.css"))


def show(template: str, status: int = 200, **values: Any) -> Response:
    """One of the pages, with its form's token and its own content policy."""
    shown = render_template(
        template,
        csrf=gate.csrf_token(),
        theme_script=THEME_SCRIPT,
        home=urls.home(),
        shortest=SHORTEST,
        longest=LONGEST,
        **values,
    )
    response = make_response(shown, status)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


def local_path(wanted: str | None) -> str:
    """The path to go on to, if it is one of this server's own pages; Home for anything else."""
    text = wanted or ""
    is_plain = text.isprintable() and "\\" not in text and text.startswith("/") and not text.startswith("//")
    if not is_plain or urlsplit(text).scheme or urlsplit(text).netloc or text.startswith(("/login", "/logout")):
        return urls.home()
    return text
