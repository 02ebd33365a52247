"""plotly.js in its strict build, in place of the one that Dash brings: its WebGL maps need no `unsafe-eval`."""

import hashlib
from functools import cache
from pathlib import Path

import brotli
from flask import Flask, Response, request

from dashboard.bundles import PLOTLY

KEPT = Path(__file__).parent / "vendor" / "plotly-strict.min.js.br"


def serve_strict_plotly(server: Flask) -> None:
    """Answer the address of plotly.js with the strict build; to be called after the gate is in place."""

    @server.before_request
    def send() -> Response | None:
        if request.path != PLOTLY or request.method not in ("GET", "HEAD"):
            return None
        is_small = "br" in request.headers.get("Accept-Encoding", "")
        response = Response(KEPT.read_bytes() if is_small else plotly_script(), mimetype="application/javascript")
        if is_small:
            response.headers["Content-Encoding"] = "br"
        response.headers["Vary"] = "Accept-Encoding"
        response.set_etag(fingerprint() + ("-br" if is_small else ""))
        return response.make_conditional(request)


@cache
def fingerprint() -> str:
    """What the browser's copy is compared by."""
    return hashlib.sha256(KEPT.read_bytes()).hexdigest()[:32]


@cache
def plotly_script() -> bytes:
    """The script as it runs."""
    return brotli.decompress(KEPT.read_bytes())
