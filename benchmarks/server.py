"""A shared server: people clicking, writers through kills of workers and of PostgreSQL, restarts under load.

Run it on a quiet machine. PostgreSQL is one of this benchmark's own, which waits for the disk at every commit."""

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.browser import chromium
from benchmarks.result import write_result
from benchmarks.server_clients import CLICKS, THINK_S, Answered, Person, go_on, leave
from benchmarks.server_process import WORKERS, Server, durable_postgres, memory_mb, serving
from benchmarks.server_recording import Recorded, record
from benchmarks.server_writers import FEATURES_EACH, Writer, check_catalog
from loaders.workspace import Workspace
from tests.postgres import Postgres

PEOPLE, CLICKING_S, MOST_MS, MOST_MB = 50, 60, 500, 150
WRITERS, EDITS = 20, 500
KILL_EVERY_S, POSTGRES_EVERY, DOWN_S = 2.0, 3, 1.5
"""Seconds between kills of workers; every third time PostgreSQL is killed as well, and stays down so long."""
RESTARTING_S, RESTARTING_PEOPLE = 20.0, 8


def latencies(clicks: Sequence[Answered]) -> dict[str, Any]:
    """Percentiles of single requests and of whole clicks (all of a click's requests, one after the other), in ms."""

    def percentiles(values: list[float]) -> dict[str, float]:
        return {f"p{q}": round(float(np.percentile(values, q)), 1) for q in (50, 95, 99)} | {"n": len(values)}

    kinds = sorted({click.kind for click in clicks})
    return {
        "request_ms": percentiles([ms for click in clicks for ms in click.request_ms]),
        "click_ms": percentiles([sum(click.request_ms) for click in clicks]),
        "click_ms_by_kind": {k: percentiles([sum(c.request_ms) for c in clicks if c.kind == k]) for k in kinds},
    }


def answered(people: Sequence[Person]) -> dict[str, Any]:
    """What people were answered, and what failed."""
    failures = [failure for person in people for failure in person.failures]
    found = latencies([click for person in people for click in person.clicks])
    return {**found, "failed": len(failures), "failures": failures[:5]}


def measure_clicking(workspace: str, recorded: Recorded, features: int, seconds: float) -> dict[str, Any]:
    """50 people for a minute, and what a further worker costs afterwards."""
    with serving(workspace) as server:
        people = [Person(number, server.address, recorded, features) for number in range(PEOPLE)]
        go_on(people, seconds)
        workers = sorted(server.workers())
        own = max(memory_mb(pid, "Private_Dirty") for pid in workers)
        tree = sum(memory_mb(pid, "Pss_Anon") for pid in (server.process.pid, *workers))
    found = answered(people)
    return {
        "people": PEOPLE,
        "seconds": seconds,
        "think_time_s": f"exponential, mean {THINK_S:g}",
        "clicks_by_weight": CLICKS,
        "workers": WORKERS,
        **found,
        "most_ms": MOST_MS,
        "is_fast_enough": found["request_ms"]["p95"] <= MOST_MS,
        "own_memory_of_a_worker_mb": round(own, 1),
        "most_memory_mb": MOST_MB,
        "is_small_enough": own <= MOST_MB,
        "anonymous_memory_of_all_processes_mb": round(tree, 1),
    }


def measure_writing(workspace: str, store: str, edits: int, postgres: Postgres | None = None) -> dict[str, Any]:
    """20 writers while workers, and PostgreSQL where it is the catalog, are killed: every acknowledged edit must be there,
    in order, once."""
    with serving(workspace, postgres) as server:
        writers = [Writer(number, server.address, store, edits) for number in range(WRITERS)]
        start = time.monotonic()
        for writer in writers:
            writer.start()
        kills = kill_meanwhile(server, postgres, writers)
        seconds = time.monotonic() - start
        found = check_catalog(server.catalog, Workspace(workspace).open_store(store).sae_fingerprint, writers)
    return {
        "database": "SQLite" if postgres is None else "PostgreSQL",
        "writers": WRITERS,
        "edits_each": edits,
        "features_of_each_writer": FEATURES_EACH,
        **kills,
        "seconds": round(seconds, 1),
        "acknowledged": sum(len(writer.acknowledged) for writer in writers),
        "sent_again_after_a_lost_answer": sum(writer.lost_answers for writer in writers),
        "sent_again_after_503": sum(writer.unavailable for writer in writers),
        **found,
        "failures": [writer.failure for writer in writers if writer.failure][:5],
    }


def kill_meanwhile(server: Server, postgres: Postgres | None, writers: Sequence[Writer]) -> dict[str, int]:
    """Kill a worker every two seconds until the writers are done, and now and then PostgreSQL; how many of each."""
    done, workers, databases, turn = threading.Event(), 0, 0, 0
    while any(writer.is_alive() for writer in writers):
        done.wait(KILL_EVERY_S)
        if postgres is not None and turn % POSTGRES_EVERY == 0:
            postgres.kill()
            databases += 1
            done.wait(DOWN_S / 2)
            workers += server.kill_a_worker()  # its successor starts without a catalog
            done.wait(DOWN_S / 2)
            postgres.start()
        else:
            workers += server.kill_a_worker()
        turn += 1
    return {"workers_killed": workers} | ({} if postgres is None else {"postgresql_killed": databases})


def measure_restarting(workspace: str, recorded: Recorded, features: int, seconds: float) -> dict[str, Any]:
    """People without pauses while workers are reloaded (HUP) and renewed one by one (TERM), and the whole server is stopped
    and started: no request that was accepted may go unanswered. Every other person opens a connection for each request."""
    with serving(workspace) as server:
        people = [
            Person(number, server.address, recorded, features, think_s=0, keeps_connection=number % 2 == 0)
            for number in range(RESTARTING_PEOPLE)
        ]
        for person in people:
            person.start()
        reloads = renewed = stops = 0
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
            server.stop()
            server.start()
            stops += 1
        leave(people)
    return {
        "people": len(people),
        "of_whom_open_a_connection_for_each_request": sum(not person.keeps_connection for person in people),
        "reloads": reloads,
        "workers_renewed_one_by_one": renewed,
        "stopped_and_started": stops,
        "connections_not_taken_while_stopped": sum(person.refused for person in people),
        "kept_connections_found_closed": sum(person.reopened for person in people),
        **answered(people),
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
        with serving(parsed.workspace) as server, chromium() as browser:
            recorded = record(browser, server.address, store)

    def writing() -> list[dict[str, Any]]:
        with durable_postgres() as postgres:
            return [measure_writing(parsed.workspace, store, parsed.edits, database) for database in (None, postgres)]

    parts: dict[str, Callable[[], Any]] = {
        "clicking": lambda: measure_clicking(parsed.workspace, recorded, features, parsed.seconds),
        "writing": writing,
        "restarting": lambda: measure_restarting(parsed.workspace, recorded, features, RESTARTING_S),
    }
    figures: dict[str, Any] = {"store": store, "features": features, "load_average": os.getloadavg()[0]}
    figures |= {name: measure() for name, measure in parts.items() if parsed.only in (None, name)}
    write_result("server" if parsed.only is None else f"server_{parsed.only}", figures)


if __name__ == "__main__":
    main()
