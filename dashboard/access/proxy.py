"""A proxy in front of the server: whom its headers are believed from, and the name that it vouches for."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import request
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboard.access.rules import Rules

PEER = "loupe.peer"
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PREFIX")


class TrustedProxy:
    """WSGI: applies X-Forwarded-For, -Proto and -Host of the configured proxies, drops those of everybody else."""

    def __init__(self, app: Any, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._fixed = ProxyFix(app, x_for=1, x_proto=1, x_host=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[PEER] = environ.get("REMOTE_ADDR")
        if self._rules.trusts(environ[PEER]):
            return self._fixed(environ, start_response)
        for header in FORWARDED:
            environ.pop(header, None)
        return self._app(environ, start_response)


def peer() -> str:
    """The address of whoever opened the connection: the proxy's where there is one."""
    return str(request.environ.get(PEER) or request.remote_addr or "")
