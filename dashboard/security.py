"""Headers and refusals that keep other sites out: content policy, no framing, no cross-site writes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

from loaders.workspace import Workspace

if TYPE_CHECKING:  # the activation server uses this module and runs without Dash
    from dash import Dash

WRITING = {"POST", "PUT", "PATCH", "DELETE"}
GL_FEATURES = 10_000  # above this the Explorer's map needs WebGL, whose shaders plotly.js builds with `new Function`


def guard(app: Dash, server: Flask, workspace: Workspace, inline_scripts: list[str]) -> None:
    """Guard the dashboard's server: `refuse_other_sites`, and a content policy for its pages.

    `inline_scripts` are hashes of the page's own inline scripts, in the form of a content policy.
    """
    refuse_other_sites(server)

    @server.after_request
    def add_policy(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", policy(app, workspace, inline_scripts))
        return response


def refuse_other_sites(server: Flask) -> None:
    """Add security headers to every response and refuse writing requests that another site's page makes."""

    @server.before_request
    def refuse_cross_site() -> None:
        if request.method not in WRITING:
            return
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        crosses = site == "cross-site" if site else origin is not None and urlsplit(origin).netloc != request.host
        if crosses:
            abort(403, "This request comes from another site's page. Open the dashboard itself and repeat it there.")

    @server.after_request
    def add_headers(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
        return response


def policy(app: Dash, workspace: Workspace, inline_scripts: list[str]) -> str:
    """The content policy: scripts of this server only, with `unsafe-eval` only where a store needs the WebGL map."""
    scripts = ["'self'", *inline_scripts, *app.csp_hashes()]
    if any(manifest["features"] > GL_FEATURES for manifest in workspace.manifests().values()):
        scripts.append("'unsafe-eval'")
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
