"""Headers and refusals that keep other sites out: content policy, no framing, no cross-site writes, no huge bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

if TYPE_CHECKING:  # the activation server uses this module and runs without Dash
    from dash import Dash

SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
"""Content policy of JSON, should somebody open it as a page."""


def guard_pages(app: Dash, server: Flask, inline_scripts: list[str]) -> None:
    """Give the dashboard's pages their content policy.

    `inline_scripts` are hashes of the page's own inline scripts, in the form of a content policy.
    """

    @server.after_request
    def add_policy(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", policy(app, inline_scripts))
        return response


def refuse_other_sites(server: Flask) -> None:
    """Add security headers to every response and refuse writing requests of other sites' pages."""

    server.before_request(refuse_cross_site)

    @server.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "application/json":
            response.headers.setdefault("Content-Security-Policy", NO_PAGE)
        return response


def refuse_cross_site() -> None:
    """Answer a writing request of another site's page with 403; wherever the HTTP interface stands, it asks this too."""
    if request.method not in SAFE and is_from_another_site():
        abort(403, "This request comes from another site's page. Open the dashboard itself and repeat it there.")


def is_from_another_site() -> bool:
    """Whether a browser says that another site's page sent this request; programs say nothing of the kind.

    Another port or subdomain of this host is another site too, although browsers call it 'same-site'.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and urlsplit(origin).netloc != request.host


def policy(app: Dash, inline_scripts: list[str]) -> str:
    """The content policy: scripts of this server only, no `eval` (see `strict_plotly`), inline styles as Plotly needs them."""
    scripts = ["'self'", *inline_scripts, *app.csp_hashes()]
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    )
