"""What the running server works on, read inside of a request: the workspace, the catalog and who is asking."""

from typing import cast
from urllib.parse import unquote

from flask import current_app, request

from catalog.catalog import Catalog
from catalog.labels import AUTHOR_LIMIT
from catalog.texts import without_refused
from dashboard.access.sealed import SealedCatalog
from dashboard.access.visitor import may, visitor
from loaders.workspace import Workspace

AUTHOR_COOKIE = "loupe_author"
ANONYMOUS = "anonymous"


def workspace() -> Workspace:
    """The workspace that this server shows."""
    return cast(Workspace, current_app.config["LOUPE"]["workspace"])


def catalog() -> Catalog:
    """The catalog that this server writes to; sealed for visitors who may only look."""
    found = cast(Catalog, current_app.config["LOUPE"]["catalog"])
    return found if may("labeller") else cast(Catalog, SealedCatalog(found))


def signed(typed: str | None) -> str:
    """The name to sign with: of whoever is logged in, never what they typed; without accounts what was typed."""
    return visitor().name if visitor().is_person else (typed or "")


def author() -> str:
    """Who signs: whoever is logged in; without accounts the name in the cookie `loupe_author`, or 'anonymous'.

    The cookie is percent-encoded and cut to 100 characters.
    """
    if visitor().is_person:
        return visitor().name
    name = unquote(request.cookies.get(AUTHOR_COOKIE, ""))
    return without_refused(without_refused(name).strip()[:AUTHOR_LIMIT]).strip() or ANONYMOUS
