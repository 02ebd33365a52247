"""`loupe api` as people run it: a process that says where it is, answers many at once, stops when told, or says why not."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders.remote import RemoteLoader
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.cli import main

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def own_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace is shared by all tests; labels go elsewhere."""
    monkeypatch.setenv("LOUPE_DATABASE_URL", f"sqlite:///{tmp_path / 'catalog.sqlite'}")


@pytest.fixture
def own_signals() -> Iterator[None]:
    """The command takes SIGTERM over; the tests' own process keeps its handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def start(workspace: Workspace, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loupe", "api", str(workspace.root), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def served(workspace: Workspace, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the address that it announces."""
    process = start(workspace, "--port", "0", *options)
    try:
        assert process.stdout is not None and process.stderr is not None
        said = process.stdout.readline()
        assert said.startswith("Loupe's HTTP interface is at http://127.0.0.1:"), process.stderr.read()
        yield process, said.split()[5].removesuffix("/api/v1/")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
        return json.load(reply)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_where_it_is_answers_and_stops_when_told(
    workspace: Workspace, store: Store, stop: signal.Signals
) -> None:
    with served(workspace, "--store", store.id) as (process, address):
        assert get(f"{address}/health")["status"] == "ok"
        assert get(f"{address}/activations/0?limit=1")["store"] == store.id
        process.send_signal(stop)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (0, "", "")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(address.rpartition(":")[2]))) != 0


def test_one_worker_serves_32_clients_at_once_without_an_error(workspace: Workspace, store: Store) -> None:
    with served(workspace, "--workers", "1") as (_, address):
        url = f"{address}/api/v1/stores/{store.id}"

        def ask(client: int) -> list[np.ndarray]:
            loader = RemoteLoader.at(url)
            return [loader.load((client + step) % store.features).activations for step in range(6)]

        with ThreadPoolExecutor(32) as clients:
            for client, found in enumerate(clients.map(ask, range(32))):
                for step, values in enumerate(found):
                    wanted = store.activations((client + step) % store.features).activations
                    np.testing.assert_array_equal(values, wanted)


def test_several_workers_share_the_port(workspace: Workspace) -> None:
    with served(workspace, "--workers", "2", "--threads", "2") as (_, address):
        assert all(get(f"{address}/health")["stores"] == 2 for _ in range(8))


def test_a_port_in_use_is_told_in_one_sentence(workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(workspace, "--port", str(port))
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (2, "")
    assert err == (
        f"loupe: Port {port} on 127.0.0.1 cannot be used (Address already in use). Choose another with --port.\n"
    )


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--store", "none@texts"], "There is no store 'none@texts' in this workspace (stores: tiny-l0@texts"),
        (["--store", "../x"], "'../x' is not a store id"),
        (["--workers", "0"], "--workers must be at least 1: found 0."),
        (["--port", "99999"], "A port is a number from 0 to 65535: found 99999."),
    ],
)
def test_a_server_that_cannot_start_says_why(
    options: list[str], sentence: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["api", str(workspace.root), *options]) == 2
    assert capsys.readouterr().err.startswith(f"loupe: {sentence}")


@pytest.mark.usefixtures("own_signals")
def test_a_workspace_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err.startswith(f"loupe: There is no workspace at '{tmp_path / 'gone'}'.")
    assert not (tmp_path / "gone").exists()
