"""What the running server works on, read inside of a request: the workspace, the catalog and who is asking."""

import unicodedata
from typing import cast
from urllib.parse import unquote

from flask import current_app, request

from catalog.catalog import Catalog
from catalog.labels import AUTHOR_LIMIT
from loaders.workspace import Workspace

AUTHOR_COOKIE = "loupe_author"
ANONYMOUS = "anonymous"


def workspace() -> Workspace:
    """The workspace that this server shows."""
    return cast(Workspace, current_app.config["LOUPE"]["workspace"])


def catalog() -> Catalog:
    """The catalog that this server writes to."""
    return cast(Catalog, current_app.config["LOUPE"]["catalog"])


def author() -> str:
    """The name in the cookie `loupe_author` (percent-encoded, cut to 100 characters), or 'anonymous'."""
    name = unquote(request.cookies.get(AUTHOR_COOKIE, ""))
    printable = "".join(character for character in name if unicodedata.category(character) not in ("Cc", "Cs"))
    return printable.strip()[:AUTHOR_LIMIT].strip() or ANONYMOUS
