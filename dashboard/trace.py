"""Every request gets an id, is timed and counted by its route, and leaves one line in the log."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request, request_started

from dashboard.access.gate import INSIDE_KEY
from dashboard.logs import REQUESTS
from dashboard.metrics import CALLBACK_SECONDS, IN_FLIGHT, REQUEST_SECONDS

HEADER = "X-Request-ID"
GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE = "(none)"
log = logging.getLogger(REQUESTS)


def follow_requests(server: Flask) -> None:
    """Follow every request of a server, whoever answers it."""
    request_started.connect(_start, server)
    server.after_request(_finish)
    server.teardown_request(_leave)


def request_id() -> str:
    """Id of the current request: the one that a proxy gave in X-Request-ID, or a new one."""
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def route() -> str:
    """Template of the route that answers, e.g. `/api/v1/stores/<store_id>`."""
    return request.url_rule.rule if request.url_rule else NO_ROUTE


def _start(server: Flask, **_: object) -> None:
    if INSIDE_KEY not in request.environ:  # what the server asks itself is neither counted nor logged
        g.started = time.perf_counter()
        IN_FLIGHT.inc()


def _finish(response: Response) -> Response:
    response.headers.setdefault(HEADER, request_id())
    if "started" not in g:
        return response
    seconds = time.perf_counter() - g.started
    method = request.method if request.method in METHODS else "OTHER"
    callback = g.get("callback")
    REQUEST_SECONDS.labels(method, route(), response.status_code).observe(seconds)
    if callback:
        CALLBACK_SECONDS.labels(callback).observe(seconds)
    log.info(
        "request",
        extra={
            "facts": {
                "method": method,
                "route": route(),
                "status": response.status_code,
                "ms": round(1000 * seconds, 1),
                "request_id": request_id(),
                **({"callback": callback} if callback else {}),
            }
        },
    )
    return response


def _leave(_: BaseException | None) -> None:
    if "started" in g:
        IN_FLIGHT.dec()
