"""Sends the site's scripts and styles small: compressed once per worker, kept, and cached by the browser for good."""

import hashlib
import re
from threading import Lock, Thread

import brotli
from flask import Flask, Request, Response, request
from flask_compress import Compress

from dashboard.access.gate import INSIDE_KEY

BROTLI_QUALITY = 9  # 0.4 s once for plotly.js (4.8 MB), 5 % smaller than the default level
KEPT_BYTES = 32 * 2**20
FINGERPRINT = re.compile(r"\.v[0-9_]+m[0-9]+\.")  # Dash writes version and time into a name: dcc.v4_4_1m1795.js
TYPES = ("javascript", "css", "svg", "json")
PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
ASKED_BY_PAGE = re.compile(r'(?:src|href)="(/[^"]+)"')


class Bundles:
    """Compressed copies of scripts and styles, by address and version."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._size = 0
        self._lock = Lock()

    def compressed(self, address: str, body: bytes) -> bytes:
        """The brotli form of `body`, made at the first call for `address`."""
        with self._lock:  # two visitors at once compress once
            kept = self._kept.get(address)
            if kept is None:
                kept = brotli.compress(body, quality=BROTLI_QUALITY)
                if self._size + len(kept) <= KEPT_BYTES:
                    self._kept[address] = kept
                    self._size += len(kept)
            return kept


def is_bundle(asked: Request) -> bool:
    """True for a script or style of Dash, of a component library or of `assets/`."""
    return asked.path.startswith(("/_dash-component-suites/", "/assets/"))


def names_version(asked: Request) -> bool:
    """True where the address itself changes with the content, so that a browser may keep it for good."""
    return FINGERPRINT.search(asked.path) is not None or "m" in asked.args


def compress_responses(server: Flask) -> None:
    """Compress every response: bundles once, the rest as flask-compress does."""
    bundles = Bundles()
    server.config["COMPRESS_ALGORITHM"] = ["br", "gzip"]
    server.config["COMPRESS_ALGORITHM_STREAMING"] = ["br", "gzip"]
    Compress(server)  # registered first, so it runs after the function below and leaves its answers alone

    @server.after_request
    def send_bundle(response: Response) -> Response:
        if request.method != "GET" or response.status_code != 200 or not is_bundle(request):
            return response
        if names_version(request):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"  # asked for again each time, answered by 304
        accepts = "br" in request.headers.get("Accept-Encoding", "")
        if accepts and "Content-Encoding" not in response.headers and any(t in response.mimetype for t in TYPES):
            response.direct_passthrough = False
            body = bundles.compressed(f"{request.full_path} {response.get_etag()[0]}", response.get_data())
            response.set_data(body)
            response.headers["Content-Encoding"] = "br"
            response.set_etag(hashlib.sha256(body).hexdigest()[:32])
            response.make_conditional(request)
        return response


def compress_bundles(server: Flask) -> None:
    """Compress what a page asks for, so that the first visitor does not wait for it (0.9 s)."""
    client, inside = server.test_client(), {INSIDE_KEY: True}
    page = client.get("/", environ_overrides=inside).get_data(as_text=True)
    for address in [*ASKED_BY_PAGE.findall(page), PLOTLY]:
        client.get(address, headers={"Accept-Encoding": "br"}, environ_overrides=inside)


def compress_ahead(server: Flask) -> Thread:
    """The same in the background."""
    thread = Thread(target=compress_bundles, args=[server], name="compress-ahead", daemon=True)
    thread.start()
    return thread
