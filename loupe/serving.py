"""Serve a web application with gunicorn: made ready once, then forked into workers of several threads each."""

import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gunicorn.app.base import BaseApplication

from dashboard.logs import LOG_FORMATS, log_config
from loaders.errors import BadInput
from loaders.mirror import is_url
from loupe.memory import ask_sparingly
from loupe.worker import Worker

LAST_PORT = 65_535
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers keep their counters, so that any one of them can answer for all; prometheus-client reads it when imported."""


class Conduct(NamedTuple):
    """How a server behaves beyond its address: what it logs, how long it waits, when it renews a worker."""

    log_format: str = "quiet"
    """One of LOG_FORMATS."""
    grace: int = 30
    """Seconds that a stopping or renewed worker has for the requests that it took."""
    recycle: int = 0
    """Requests after which a worker is renewed; 0 never does."""


ORDINARY = Conduct()


class ThreadedServer(BaseApplication):
    """gunicorn, configured in code. The application is made once, before the first fork: workers start warm and at once,
    share its memory, and start even while the catalog cannot be reached."""

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


def serve(
    workspace: str,
    host: str,
    port: int,
    workers: int,
    threads: int,
    when_ready: Any = None,
    conduct: Conduct = ORDINARY,
) -> None:
    """Serve the dashboard until interrupted; `when_ready` is called once the port accepts visitors."""

    def create() -> Any:
        from app import create_server
        from dashboard.bundles import compress_bundles

        server = create_server()
        compress_bundles(server)
        return server

    os.environ["LOUPE_WORKSPACE"] = workspace
    os.environ[METRICS_DIR] = tempfile.mkdtemp(prefix="loupe-metrics-")
    owner = os.getpid()
    try:
        serve_threaded(create, host, port, workers, threads, when_ready, conduct)
    finally:
        if os.getpid() == owner:  # a worker that ends leaves by this way too, and the others still count
            shutil.rmtree(os.environ.pop(METRICS_DIR), ignore_errors=True)


def serve_threaded(
    create: Callable[[], Any],
    host: str,
    port: int,
    workers: int,
    threads: int,
    when_ready: Any = None,
    conduct: Conduct = ORDINARY,
) -> None:
    """Serve the WSGI application that `create` makes until interrupted; raises BadInput for options that cannot be."""
    for option, found, least in (
        ("--workers", workers, 1),
        ("--threads", threads, 1),
        ("--grace", conduct.grace, 1),
        ("--recycle", conduct.recycle, 0),
    ):
        if found < least:
            raise BadInput(f"{option} must be at least {least}: found {found}.")
    if conduct.log_format not in LOG_FORMATS:
        raise BadInput(f"--log-format is one of {', '.join(LOG_FORMATS)}: found '{conduct.log_format}'.")
    require_free_port(host, port)
    ask_sparingly()

    def announce(arbiter: Any) -> None:
        gc.collect()
        gc.freeze()  # collecting would write to the pages that workers share with this process
        if when_ready is not None:
            when_ready(arbiter)

    options: dict[str, Any] = {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "worker_class": Worker,
        "preload_app": True,
        "timeout": 120,
        "graceful_timeout": conduct.grace,
        "max_requests": conduct.recycle,
        "max_requests_jitter": conduct.recycle // 10,  # so that workers are not renewed all at once
        "limit_request_line": 8190,  # an Explorer's address holds its filters
        "control_socket_disable": True,
        "logconfig_dict": log_config(conduct.log_format),
        "proc_name": "loupe",
        "when_ready": announce,
        "post_fork": greet_worker,
        "child_exit": forget_worker,
    }
    ThreadedServer(create, options).run()


def greet_worker(arbiter: Any, worker: Any) -> None:
    """Make the place of the counters again where somebody tidied the temporary files meanwhile."""
    if METRICS_DIR in os.environ:
        os.makedirs(os.environ[METRICS_DIR], exist_ok=True)


def forget_worker(arbiter: Any, worker: Any) -> None:
    """Drop what a worker that ended had in flight from the metrics; its counts stay."""
    if METRICS_DIR in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
