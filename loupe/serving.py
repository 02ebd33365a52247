"""Serve the dashboard with gunicorn: threads in one or more workers, each warmed before its first visitor."""

import os
import socket
from typing import Any

from gunicorn.app.base import BaseApplication

from loaders.errors import BadInput

LAST_PORT = 65_535


class DashboardServer(BaseApplication):
    """gunicorn, configured in code: `app:create_server()` in every worker."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from app import create_server

        return create_server()


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
    """Serve until interrupted; `when_ready` is called once the port accepts visitors."""
    for option, found in (("--workers", workers), ("--threads", threads)):
        if found < 1:
            raise BadInput(f"{option} must be at least 1: found {found}.")
    require_free_port(host, port)
    os.environ["LOUPE_WORKSPACE"] = workspace
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
    DashboardServer(options).run()
