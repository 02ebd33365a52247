"""A shared server: people clicking, writers through kills of workers, a restart under load; run it on a quiet machine."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser

from benchmarks.browser import Watch, answers, chromium, free_port
from benchmarks.result import write_result
from benchmarks.server_clients import THINK_S, Answered, Person, Recorded, go_on, leave
from benchmarks.server_writers import FEATURES_EACH, Writer, check_catalog
from benchmarks.site import CALLBACK, record_callbacks
from loaders.errors import BadInput
from loaders.workspace import Workspace

PEOPLE, CLICKING_S, WORKERS = 50, 60, 2
WRITERS, EDITS = 20, 500
KILL_EVERY_S, RESTARTING_S, SETTLE_S = 2.0, 20.0, 120.0


class Server:
    """`loupe serve` on a copy of the catalog, in a process of its own."""

    def __init__(self, workspace: str, catalog: Path, workers: int) -> None:
        port = free_port()
        self.address, self.count = f"http://127.0.0.1:{port}", workers
        command = [sys.executable, "-m", "loupe", "serve", workspace, "--port", str(port), "--workers", str(workers)]
        environment = {**os.environ, "LOUPE_DATABASE_URL": f"sqlite:///{catalog}"}
        self.process = subprocess.Popen(command, env=environment)
        self.wait_until(lambda: answers(self.address + "/health/live"))

    def wait_until(self, claim: Callable[[], bool], limit_s: float = 600) -> None:
        deadline = time.monotonic() + limit_s
        while not claim():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise BadInput("The server ended or did not do what it was told in time; see its message above.")
            time.sleep(0.1)

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def is_renewed(self, gone: set[int]) -> bool:
        now = self.workers()
        return not now & gone and len(now) == self.count


@contextmanager
def serving(workspace: str, workers: int = WORKERS) -> Iterator[tuple[Server, Path]]:
    """A server whose catalog is a copy, so that a run leaves no labels behind; yields it and that copy."""
    with tempfile.TemporaryDirectory() as temporary:
        catalog = Path(temporary) / "catalog.sqlite"
        own = Workspace(workspace).root / "catalog.sqlite"
        if own.exists():
            shutil.copy(own, catalog)
        server = Server(workspace, catalog, workers)
        try:
            yield server, catalog
        finally:
            server.process.terminate()
            server.process.wait()


def memory_mb(pid: int, fact: str) -> float:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(fact + ":")) / 1024


def record(browser: Browser, address: str, store: str) -> Recorded:
    """The callbacks that Chromium sends for an Explorer and a Feature page."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    watch, bodies = Watch(page), list[dict[str, Any]]()
    page.on("request", lambda request: bodies.append(request.post_data_json) if CALLBACK in request.url else None)
    page.goto(f"{address}/explorer/{store}")
    watch.settle(SETTLE_S)
    page.close()
    return Recorded(store, 1, bodies, record_callbacks(browser, address, store, 1, SETTLE_S))


def latencies(clicks: list[Answered]) -> dict[str, Any]:
    """Percentiles of single requests and of whole clicks (all of a click's requests, one after the other), in ms."""

    def percentiles(values: list[float]) -> dict[str, float]:
        return {f"p{q}": round(float(np.percentile(values, q)), 1) for q in (50, 95, 99)} | {"n": len(values)}

    kinds = sorted({click.kind for click in clicks})
    return {
        "request_ms": percentiles([ms for click in clicks for ms in click.request_ms]),
        "click_ms": percentiles([sum(click.request_ms) for click in clicks]),
        "click_ms_by_kind": {k: percentiles([sum(c.request_ms) for c in clicks if c.kind == k]) for k in kinds},
    }


def measure_clicking(workspace: str, recorded: Recorded, features: int, seconds: float) -> dict[str, Any]:
    """50 people for a minute, and what a further worker costs afterwards."""
    with serving(workspace) as (server, _):
        people = [Person(number, server.address, recorded, features) for number in range(PEOPLE)]
        go_on(people, seconds)
        workers = sorted(server.workers())
        own = [memory_mb(pid, "Private_Dirty") for pid in workers]
        tree = sum(memory_mb(pid, "Pss_Anon") for pid in (server.process.pid, *workers))
    clicks = [click for person in people for click in person.clicks]
    failures = [failure for person in people for failure in person.failures]
    return {
        "people": PEOPLE,
        "seconds": seconds,
        "think_time_s": f"exponential, mean {THINK_S:g}",
        "workers": WORKERS,
        **latencies(clicks),
        "failed": len(failures),
        "failures": failures[:5],
        "own_memory_of_a_worker_mb": round(max(own), 1),
        "anonymous_memory_of_all_processes_mb": round(tree, 1),
    }


def measure_writing(workspace: str, store: str, edits: int) -> dict[str, Any]:
    """20 writers while workers are killed one after the other: every acknowledged edit must be there, in order, once."""
    with serving(workspace) as (server, catalog):
        writers = [Writer(number, server.address, store, edits) for number in range(WRITERS)]
        done, kills, start = threading.Event(), 0, time.monotonic()
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            done.wait(KILL_EVERY_S)
            if victims := server.workers():
                os.kill(min(victims), signal.SIGKILL)
                kills += 1
        seconds = time.monotonic() - start
        found = check_catalog(catalog, Workspace(workspace).open_store(store).sae_fingerprint, writers)
    return {
        "writers": WRITERS,
        "edits_each": edits,
        "features_of_each_writer": FEATURES_EACH,
        "database": "SQLite",
        "workers_killed": kills,
        "seconds": round(seconds, 1),
        "acknowledged": sum(len(writer.acknowledged) for writer in writers),
        "repeated_after_a_lost_answer": sum(writer.repeated for writer in writers),
        **found,
    }


def measure_restarting(workspace: str, recorded: Recorded, features: int, seconds: float) -> dict[str, Any]:
    """People without pauses while workers are reloaded (HUP) and renewed one by one (TERM): none may notice."""
    with serving(workspace) as (server, _):
        people = [Person(number, server.address, recorded, features, think_s=0) for number in range(8)]
        for person in people:
            person.start()
        reloads = renewed = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            server.wait_until(lambda old=before: server.is_renewed(old))  # type: ignore[misc]
            reloads += 1
            for worker in sorted(server.workers()):
                os.kill(worker, signal.SIGTERM)
                server.wait_until(lambda old=worker: server.is_renewed({old}))  # type: ignore[misc]
                renewed += 1
        leave(people)
    clicks = [click for person in people for click in person.clicks]
    failures = [failure for person in people for failure in person.failures]
    return {
        "people": len(people),
        "reloads": reloads,
        "workers_renewed_one_by_one": renewed,
        **latencies(clicks),
        "failed": len(failures),
        "failures": failures[:5],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", default="workspace")
    parser.add_argument("--seconds", type=float, default=CLICKING_S, help="of people clicking")
    parser.add_argument("--edits", type=int, default=EDITS, help="of each writer")
    parser.add_argument("--only", choices=("clicking", "writing", "restarting"), help="one part; by default all three")
    parsed = parser.parse_args()
    store = Workspace(parsed.workspace).store_ids()[-1]
    features = Workspace(parsed.workspace).open_store(store).features
    if parsed.only != "writing":
        with serving(parsed.workspace) as (server, _), chromium() as browser:
            recorded = record(browser, server.address, store)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "clicking": lambda: measure_clicking(parsed.workspace, recorded, features, parsed.seconds),
        "writing": lambda: measure_writing(parsed.workspace, store, parsed.edits),
        "restarting": lambda: measure_restarting(parsed.workspace, recorded, features, RESTARTING_S),
    }
    figures: dict[str, Any] = {"store": store, "features": features, "load_average": os.getloadavg()[0]}
    figures |= {name: measure() for name, measure in parts.items() if parsed.only in (None, name)}
    write_result("server" if parsed.only is None else f"server_{parsed.only}", figures)


if __name__ == "__main__":
    main()
