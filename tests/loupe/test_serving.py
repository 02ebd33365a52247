"""`loupe serve` under load: reloads, renews, loses and stops workers without losing a request that it took."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from loaders.store import Store
from loaders.workspace import Workspace

PATIENCE_S = 90
CLIENTS = 6


class Serving:
    """A `loupe serve` of the tests' own."""

    def __init__(self, workspace: Workspace, log: Path, *options: str) -> None:
        command = [sys.executable, "-m", "loupe", "serve", str(workspace.root), "--port", "0", *options]
        self.log = log
        with log.open("w") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("Loupe is at http://127.0.0.1:"), log.read_text()
        self.port = int(said.split()[3].rpartition(":")[2])

    def workers(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as reply:
            return bytes(reply.read())

    def wait_until(self, claim: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not claim():
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture
def serving(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Serving]]:
    monkeypatch.setenv("LOUPE_DATABASE_URL", f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    started: list[Serving] = []

    def start(*options: str) -> Serving:
        started.append(Serving(workspace, tmp_path / f"log-{len(started)}", *options))
        return started[-1]

    yield start
    for one in started:
        one.process.terminate()
        one.process.communicate(timeout=PATIENCE_S)


class Load:
    """Clients in a loop on connections that they keep, as browsers do: each request is answered whole, or counted as lost.

    A kept connection that the server closed between two requests is opened anew (RFC 9112, 9.3.1), never in the midst of one.
    """

    def __init__(self, port: int, paths: list[str]) -> None:
        self.port, self.paths = port, paths
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=[number]) for number in range(CLIENTS)]

    def check(self, server: Serving) -> None:
        """Nothing was lost and everything was answered well."""
        assert (self.lost, set(self.answers)) == ([], {200}), server.log.read_text()[-2_000:]

    def _loop(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        is_fresh, step = True, number
        while not self._stopped.is_set():
            step += 1
            try:
                connection.request("GET", self.paths[step % len(self.paths)])
                reply = connection.getresponse()
                reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                if is_fresh:
                    self.lost.append(repr(error))
                connection.close()
                is_fresh = True
                continue
            except Exception as error:
                self.lost.append(repr(error))
                connection.close()
                is_fresh = True
                continue
            self.answers[reply.status] += 1
            is_fresh = reply.will_close
            if is_fresh:
                connection.close()

    def reach(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        goal, deadline = self.answers.total() + more, time.monotonic() + PATIENCE_S
        while self.answers.total() < goal:
            assert time.monotonic() < deadline, (self.answers, self.lost)
            time.sleep(0.01)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @classmethod
    @contextmanager
    def on(cls, server: Serving, store: Store) -> "Iterator[Load]":
        paths = [f"/api/v1/stores/{store.id}/features/{number}" for number in range(0, store.features, 7)] + ["/health"]
        load = cls(server.port, paths)
        for thread in load._threads:
            thread.start()
        try:
            load.reach(50)
            yield load
        finally:
            load.stop()


def test_a_reload_and_a_rolling_restart_under_load_lose_no_request(
    serving: Callable[..., Serving], store: Store
) -> None:
    server = serving("--workers", "2", "--threads", "4")
    with Load.on(server, store) as load:
        for _ in range(2):
            before = server.workers()
            server.process.send_signal(signal.SIGHUP)
            server.wait_until(lambda old=before: not server.workers() & old and len(server.workers()) == 2)
            load.reach(50)
        for worker in sorted(server.workers()):  # one by one
            os.kill(worker, signal.SIGTERM)
            server.wait_until(lambda old=worker: old not in server.workers() and len(server.workers()) == 2)
            load.reach(50)
    load.check(server)


def test_workers_are_renewed_after_their_share_without_losing_a_request(
    serving: Callable[..., Serving], store: Store
) -> None:
    server = serving("--workers", "2", "--threads", "4", "--recycle", "60")
    first = server.workers()
    with Load.on(server, store) as load:
        load.reach(400)
        server.wait_until(lambda: not server.workers() & first)
    load.check(server)


def test_a_killed_worker_is_replaced_and_the_others_go_on(serving: Callable[..., Serving], store: Store) -> None:
    server = serving("--workers", "2")
    with Load.on(server, store) as load:
        victim = min(server.workers())
        os.kill(victim, signal.SIGKILL)
        server.wait_until(lambda: victim not in server.workers() and len(server.workers()) == 2)
        load.reach(100)
    assert set(load.answers) == {200} and len(load.lost) <= CLIENTS  # what the victim had in hand


def test_a_stop_answers_what_runs_and_ends_in_time(serving: Callable[..., Serving], store: Store) -> None:
    server = serving("--workers", "2", "--grace", "20")
    with Load.on(server, store) as load:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0
    assert set(load.answers) == {200}
    assert {words.partition("(")[0] for words in load.lost} <= {"ConnectionRefusedError"}  # what it did not even take


def test_any_worker_answers_for_the_counts_of_all_and_the_log_has_a_line_for_each_request(
    serving: Callable[..., Serving],
) -> None:
    server = serving("--workers", "3", "--log-format", "json")
    for _ in range(30):
        server.get("/health/live?token=secret-word")
    counted = {line for _ in range(6) for line in server.get("/metrics").decode().splitlines() if "health/live" in line}
    assert 'loupe_request_seconds_count{method="GET",route="/health/live",status="200"} 30.0' in counted
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    asked = [line for line in lines if line.get("route") == "/health/live"]
    assert len(asked) == 30 and len({line["request_id"] for line in asked}) == 30
    assert {line["worker"] for line in asked} <= server.workers()
    assert "secret-word" not in server.log.read_text()


def test_workers_go_on_where_the_temporary_files_were_tidied(
    serving: Callable[..., Serving], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    server = serving()
    (counters,) = (tmp_path / "tmp").glob("loupe-metrics-*")
    shutil.rmtree(counters)
    server.wait_until(lambda: len(server.workers()) == 1)
    (before,) = server.workers()
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: before not in server.workers() and len(server.workers()) == 1)
    assert json.loads(server.get("/health"))["status"] == "ok"
    assert b"loupe_request_seconds" in server.get("/metrics")


def test_one_warm_copy_is_shared_by_all_workers(serving: Callable[..., Serving]) -> None:
    def own(pid: int) -> float:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:")) / 1024

    server = serving("--workers", "3")
    server.wait_until(lambda: len(server.workers()) == 3)
    server.get("/")
    assert all(own(worker) < 150 for worker in server.workers())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--threads", "0"], "--threads must be at least 1: found 0."),
        (["--grace", "0"], "--grace must be at least 1: found 0."),
        (["--recycle", "-1"], "--recycle must be at least 0: found -1."),
    ],
)
def test_what_a_server_cannot_do_is_said_before_it_starts(
    options: list[str], sentence: str, workspace: Workspace, tmp_path: Path
) -> None:
    environment = {**os.environ, "LOUPE_DATABASE_URL": f"sqlite:///{tmp_path / 'catalog.sqlite'}"}
    command = [sys.executable, "-m", "loupe", "serve", str(workspace.root), "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"loupe: {sentence}\n")
