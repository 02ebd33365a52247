"""Serve a web application with gunicorn: threads in one or more workers, each made ready before its first visitor."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from loaders.errors import BadInput
from loaders.mirror import is_url

LAST_PORT = 65_535


class ThreadedServer(BaseApplication):
    """gunicorn, configured in code: every worker serves what `create` returns in it."""

    def __init__(self, create: Callable[[], Any], options: dict[str, Any]) -> None:
        self._create, self._options = create, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._create()


def require_workspace(directory: str) -> None:
    """Raise BadInput when there is no such directory; a URL is looked at when it is opened."""
    if not is_url(directory) and not Path(directory).expanduser().is_dir():
        raise BadInput(f"There is no workspace at '{directory}'. Build one with `loupe demo` or `loupe build`.")


def require_free_port(host: str, port: int) -> None:
    """Raise BadInput when the port is no port, or when something already listens there."""
    if not 0 <= port <= LAST_PORT:
        raise BadInput(f"A port is a number from 0 to {LAST_PORT}: found {port}. Choose another with --port.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInput(
                f"Port {port} on {host} cannot be used ({error.strerror}). Choose another with --port."
            ) from error


def serve(workspace: str, host: str, port: int, workers: int, threads: int, when_ready: Any = None) -> None:
    """Serve the dashboard until interrupted; `when_ready` is called once the port accepts visitors."""

    def create() -> Any:
        from app import create_server

        return create_server()

    os.environ["LOUPE_WORKSPACE"] = workspace
    serve_threaded(create, host, port, workers, threads, when_ready)


def serve_threaded(
    create: Callable[[], Any], host: str, port: int, workers: int, threads: int, when_ready: Any = None
) -> None:
    """Serve the WSGI application that `create` makes until interrupted; raises BadInput for options that cannot be."""
    for option, found in (("--workers", workers), ("--threads", threads)):
        if found < 1:
            raise BadInput(f"{option} must be at least 1: found {found}.")
    require_free_port(host, port)
    options: dict[str, Any] = {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "worker_class": "gthread",
        "timeout": 120,
        "graceful_timeout": 3,
        "loglevel": "warning",
        "proc_name": "loupe",
    }
    if when_ready is not None:
        options["when_ready"] = when_ready
    ThreadedServer(create, options).run()
