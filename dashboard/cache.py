"""Keeps results that are slow to derive from a store, for all workers: in files of the workspace, or in Redis.

A result's key holds the store's whole manifest and this program's own source, so that neither a store that was built anew
nor a new version is ever answered from an old result. Values are JSON signed with the server's key, written and read as
such: nothing is unpickled, and what another writer of the same Redis puts there is not shown.
"""

import functools
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, has_app_context
from flask_caching import Cache
from plotly.io.json import to_json_plotly

from dashboard.metrics import CACHE_ASKED
from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace

FILES = "dashboard.cache_backends.BoundedFiles"
REDIS = "dashboard.cache_backends.PlainRedis"
FOLDER = "cache"
LARGEST = 4 * 2**20  # bytes of one result; larger ones are derived each time
KEPT_S = 7 * 24 * 3600
REST_S = 10.0  # after a failure the cache is left alone for so long: each try may cost its whole timeout
SIGNATURE = 64  # characters
SOURCES = ("analysis", "catalog", "dashboard", "loaders", "pages")
ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger("loupe")


class Results(Cache):
    """Flask-Caching's cache, and until when it is left alone after a failure."""

    rests_until = 0.0


def keep_results(server: Flask, workspace: Workspace) -> None:
    """Give a server its cache: LOUPE_CACHE_URL (redis://... or `none`), or files in the workspace where it can be written."""
    url = os.environ.get("LOUPE_CACHE_URL", "")
    config: dict[str, Any] = {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True, "CACHE_DEFAULT_TIMEOUT": KEPT_S}
    folder = workspace.root / FOLDER
    if urlsplit(url).scheme in ("redis", "rediss", "unix"):
        config |= {"CACHE_TYPE": REDIS, "CACHE_REDIS_URL": url, "CACHE_KEY_PREFIX": "loupe:"}
    elif url not in ("", "none"):
        raise BadInput("LOUPE_CACHE_URL is 'none' or the URL of a Redis server, redis://[:password@]host:port/number.")
    elif not url and workspace.url is None and os.access(workspace.root, os.W_OK):
        config |= {"CACHE_TYPE": FILES, "CACHE_DIR": str(folder)}
    server.extensions["loupe_results"] = Results(server, with_jinja2_ext=False, config=config)


def remembered(name: str, store: Store, arguments: tuple[Any, ...], derive: Callable[[], Any]) -> Any:
    """`derive()` as JSON holds it (components as objects, tuples as lists), kept under name, store and arguments.

    The same with and without a cache, whose failure costs time and nothing else.
    """
    if not has_app_context() or "loupe_results" not in current_app.extensions:
        return json.loads(to_json_plotly(derive()))
    results: Results = current_app.extensions["loupe_results"]
    key = _key(name, store, arguments)
    found = _attempt(results, name, lambda: results.get(key))
    if isinstance(found, str):
        signature, text = found[:SIGNATURE], found[SIGNATURE:]
        if hmac.compare_digest(signature.encode(), _signature(key, text).encode()):
            CACHE_ASKED.labels(name, "hit").inc()
            return json.loads(text)
    CACHE_ASKED.labels(name, "miss").inc()
    text = to_json_plotly(derive())
    if len(text) <= LARGEST:
        _attempt(results, name, lambda: results.set(key, _signature(key, text) + text))
    return json.loads(text)


def cache_state() -> str:
    """ "ok", or "unreachable" while the cache is left alone after a failure."""
    results: Results = current_app.extensions["loupe_results"]
    return "unreachable" if time.monotonic() < results.rests_until else "ok"


def _attempt(results: Results, name: str, call: Callable[[], Any]) -> Any:
    """What the cache answers, or None where it cannot be reached."""
    if time.monotonic() < results.rests_until:
        return None
    try:
        return call()
    except Exception as error:  # whatever client and server come up with: a cache is never a reason to fail
        results.rests_until = time.monotonic() + REST_S
        CACHE_ASKED.labels(name, "unreachable").inc()
        log.warning("the cache cannot be used; results are derived each time", exc_info=error)
        return None


def _signature(key: str, text: str) -> str:
    secret = str(current_app.secret_key).encode()
    return hmac.new(secret, f"kept result {key} {text}".encode(), "sha256").hexdigest()


def _key(name: str, store: Store, arguments: tuple[Any, ...]) -> str:
    manifest = json.dumps(store.manifest, sort_keys=True, default=str)
    parts = json.dumps([_source(), manifest, list(arguments)], sort_keys=True)
    return f"{name}:{hashlib.sha256(parts.encode()).hexdigest()}"


@functools.cache
def _source() -> str:
    """Hash of the code that derives results."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
