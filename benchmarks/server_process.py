"""`loupe serve` in a process of its own over a catalog of its own, in SQLite or in PostgreSQL, to be put under load."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.browser import answers, free_port
from loaders.errors import BadInput
from loaders.workspace import Workspace
from tests.postgres import Postgres

WORKERS = 2


class Server:
    """`loupe serve` of a workspace, started when it is made; `catalog` is the address of its catalog."""

    def __init__(self, workspace: str, catalog: str, workers: int) -> None:
        port = free_port()
        self.address, self.catalog, self.count = f"http://127.0.0.1:{port}", catalog, workers
        self._command = [sys.executable, "-m", "loupe", "serve", workspace]
        self._command += ["--port", str(port), "--workers", str(workers)]
        self.start()

    def start(self) -> None:
        """Start it, also after `stop`: it waits until the server answers."""
        self.process = subprocess.Popen(self._command, env={**os.environ, "LOUPE_DATABASE_URL": self.catalog})
        self.wait_until(lambda: answers(self.address + "/health/live"))

    def stop(self) -> None:
        """Let it finish what it took, and end."""
        self.process.terminate()
        self.process.wait()

    def wait_until(self, claim: Callable[[], bool], limit_s: float = 600) -> None:
        deadline = time.monotonic() + limit_s
        while not claim():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BadInput("The server ended or did not do what it was told in time; see its message above.")
            time.sleep(0.1)

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def is_renewed(self, gone: set[int]) -> bool:
        """Whether none of those workers is there any more, and all are."""
        now = self.workers()
        return not now & gone and len(now) == self.count

    def kill_a_worker(self) -> int:
        """Kill the worker that was started first, without a word; how many were killed (none while there is none)."""
        for worker in sorted(self.workers())[:1]:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                return 1
        return 0


@contextmanager
def serving(workspace: str, postgres: Postgres | None = None, workers: int = WORKERS) -> Iterator[Server]:
    """A server whose catalog ends with it: an empty one in that PostgreSQL, or else a copy of the workspace's own."""
    with tempfile.TemporaryDirectory() as temporary:
        if postgres is None:
            copied = Path(temporary) / "catalog.sqlite"
            copy_sqlite(Workspace(workspace).root / "catalog.sqlite", copied)
            catalog = f"sqlite:///{copied}"
        else:
            catalog = postgres.make_database()
        server = Server(workspace, catalog, workers)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def durable_postgres() -> Iterator[Postgres]:
    """A PostgreSQL on this machine that waits for the disk at every commit."""
    server = Postgres(is_durable=True)
    try:
        yield server
    finally:
        server.close()


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a catalog as of one moment, whoever has it open; where there is none, nothing is made."""
    if source.exists():
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)


def memory_mb(pid: int, fact: str) -> float:
    """A line of the kernel's account of a process's memory, such as Private_Dirty, in MB."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(fact + ":")) / 1024
