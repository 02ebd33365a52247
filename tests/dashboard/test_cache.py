"""Kept results: the same answers with files, with Redis and with neither; never an old one, never another's."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
import pytest
from dash import html
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from dashboard import cache, cache_backends
from dashboard.cache import cache_state, keep_results, remembered
from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace


class Derivation:
    """Counts how often it is asked to derive a result."""

    def __init__(self, value: Any = "derived") -> None:
        self.value, self.times = value, 0

    def __call__(self) -> Any:
        self.times += 1
        return self.value


class RunningRedis(NamedTuple):
    """A Redis server of the tests' own."""

    process: "subprocess.Popen[bytes]"
    url: str


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RunningRedis]:
    """A real Redis on a free port, empty."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("These tests need redis-server: install it with `make services`.")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    for _ in range(400):
        try:
            Redis.from_url(url).ping()
            break
        except RedisConnectionError:  # it starts
            time.sleep(0.05)
    yield RunningRedis(process, url)
    process.kill()
    process.wait()


@pytest.fixture
def own(tmp_path: Path) -> Workspace:
    """A workspace whose cache is empty."""
    return Workspace(tmp_path)


@pytest.fixture
def serve(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Flask]:
    """A server (a worker, as it were) with a cache at a URL, by default in files."""

    def make(url: str = "", key: str = "the server's key") -> Flask:
        monkeypatch.setenv("LOUPE_CACHE_URL", url)
        server = Flask("worker")
        server.secret_key = key
        keep_results(server, own)
        return server

    return make


def ask(server: Flask, store: Store, derive: Callable[[], Any], name: str = "panel", *arguments: Any) -> Any:
    with server.app_context():
        return remembered(name, store, arguments, derive)


def changed(store: Store, **manifest: Any) -> Store:
    """The same store after its manifest changed."""
    return Store(store.directory, {**store.manifest, **manifest}, store.dataset, store.loader)


def test_a_result_is_derived_once_for_all_workers(serve: Callable[..., Flask], store: Store) -> None:
    derive = Derivation(["a", 1, None])
    assert [ask(serve(), store, derive) for _ in range(3)] == [["a", 1, None]] * 3
    assert derive.times == 1


def test_what_comes_back_is_the_same_with_and_without_a_cache(serve: Callable[..., Flask], store: Store) -> None:
    def derive() -> Any:
        return [html.P("words", id="x"), go.Figure(go.Bar(y=[1, 2, float("nan")])), ("tuple",)]

    answers = [ask(serve(url), store, derive) for url in ("", "", "none")] + [remembered("panel", store, (), derive)]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == {
        "props": {"children": "words", "id": "x"},
        "type": "P",
        "namespace": "dash_html_components",
    }


def test_other_arguments_another_name_and_a_rebuilt_store_are_derived_anew(
    serve: Callable[..., Flask], store: Store
) -> None:
    server, derive = serve(), Derivation()
    rebuilt = changed(store, fingerprints={**store.manifest["fingerprints"], "store": "another"})
    grown = changed(store, generation=store.generation + 1)
    for count, (which, name, arguments) in enumerate(
        [
            (store, "panel", (1,)),
            (store, "panel", (2,)),
            (store, "other", (1,)),
            (rebuilt, "panel", (1,)),
            (grown, "panel", (1,)),
        ],
        start=1,
    ):
        ask(server, which, derive, name, *arguments)
        ask(server, which, derive, name, *arguments)
        assert derive.times == count


def test_a_new_version_of_the_program_does_not_answer_from_the_old_ones_results(
    serve: Callable[..., Flask], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive = Derivation()
    ask(serve(), store, derive)
    monkeypatch.setattr(cache, "_source", lambda: "the next version")
    ask(serve(), store, derive)
    assert derive.times == 2


def test_what_another_key_signed_is_not_shown(serve: Callable[..., Flask], store: Store) -> None:
    ask(serve(key="somebody else's"), store, Derivation("theirs"))
    assert ask(serve(), store, Derivation("ours")) == "ours"


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x00\x00\x00", b"\x00\x00\x00\x00cos\nsystem\n(S'false'\ntR.", b"x" * 3]
)
def test_a_file_that_was_damaged_or_forged_is_passed_over(
    content: bytes, serve: Callable[..., Flask], store: Store, own: Workspace
) -> None:
    ask(serve(), store, Derivation("first"))
    for path in (own.root / "cache").iterdir():
        path.write_bytes(content)
    assert ask(serve(), store, Derivation("anew")) == "anew"


def test_the_files_stay_within_their_bound_and_the_newest_stay(
    serve: Callable[..., Flask], store: Store, own: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_backends, "BOUND", 100_000)
    monkeypatch.setattr(cache_backends, "LOOK_EVERY", 1)
    server = serve()
    for number in range(60):
        ask(server, store, Derivation("x" * 5_000), "panel", number)
        oldest = sorted((own.root / "cache").iterdir(), key=lambda path: path.stat().st_mtime)
        assert sum(path.stat().st_size for path in oldest) <= 100_000 + 5_100
    derive = Derivation()
    ask(server, store, derive, "panel", 59)
    assert derive.times == 0


def test_a_result_that_is_too_large_is_derived_each_time(serve: Callable[..., Flask], store: Store) -> None:
    server, derive = serve(), Derivation("x" * (cache.LARGEST + 1))
    ask(server, store, derive)
    ask(server, store, derive)
    assert derive.times == 2


def test_a_workspace_that_cannot_be_written_is_served_without_a_cache(
    serve: Callable[..., Flask], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    server, derive = serve(), Derivation()
    assert ask(server, store, derive) == ask(server, store, derive) == "derived"
    assert derive.times == 2


def test_a_cache_that_is_no_redis_is_refused_in_words(serve: Callable[..., Flask]) -> None:
    with pytest.raises(BadInput, match="LOUPE_CACHE_URL is 'none' or the URL of a Redis server"):
        serve("memcached://127.0.0.1")


def test_redis_keeps_results_for_all_workers_for_a_while(
    redis: RunningRedis, serve: Callable[..., Flask], store: Store
) -> None:
    derive = Derivation({"rows": [1, 2]})
    assert [ask(serve(redis.url), store, derive) for _ in range(3)] == [{"rows": [1, 2]}] * 3
    assert derive.times == 1
    client = Redis.from_url(redis.url)
    (key,) = client.keys("*")
    assert key.startswith(b"loupe:panel:") and 0 < client.ttl(key) <= cache.KEPT_S
    assert json.loads(client.get(key)[cache.SIGNATURE :]) == {"rows": [1, 2]}  # text, not a pickle


def test_a_pickle_in_redis_is_never_run(
    redis: RunningRedis, serve: Callable[..., Flask], store: Store, tmp_path: Path
) -> None:
    ask(serve(redis.url), store, Derivation("first"))
    client, trap = Redis.from_url(redis.url), tmp_path / "ran"
    (key,) = client.keys("*")
    client.set(key, b"!" + f"cos\nsystem\n(S'touch {trap}'\ntR.".encode())
    assert ask(serve(redis.url), store, Derivation("anew")) == "anew"
    assert not trap.exists()


def test_a_redis_that_is_down_makes_it_slower_and_nothing_else(
    redis: RunningRedis, serve: Callable[..., Flask], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, derive = serve(redis.url), Derivation()
    ask(server, store, derive)
    redis.process.kill()
    redis.process.wait()
    assert [ask(server, store, derive, "panel", n) for n in range(20)] == ["derived"] * 20
    with server.app_context():
        assert cache_state() == "unreachable"
    assert derive.times == 21


def test_a_redis_that_hangs_is_asked_once_and_then_left_alone_until_it_answers(
    redis: RunningRedis, serve: Callable[..., Flask], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, derive = serve(redis.url), Derivation()
    ask(server, store, derive)
    redis.process.send_signal(signal.SIGSTOP)
    asked: list[str] = []
    backend = server.extensions["loupe_results"].cache
    really = backend.get
    monkeypatch.setattr(backend, "get", lambda key: asked.append(key) or really(key))
    for number in range(20):
        assert ask(server, store, derive, "panel", number) == "derived"
    assert len(asked) == 1
    redis.process.send_signal(signal.SIGCONT)
    monkeypatch.setattr(cache.time, "monotonic", lambda: server.extensions["loupe_results"].rests_until + 1)
    before = derive.times
    assert ask(server, store, derive) == "derived"
    assert derive.times == before  # what was kept before it hung
