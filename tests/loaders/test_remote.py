"""The remote backend returns what the other server's store holds, whole and checked, or one sentence and no numbers."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from werkzeug.serving import make_server

from catalog.catalog import Catalog
from dashboard.api_server import create_api_server
from loaders.errors import BadInput, FeatureNotFound, SourceUnavailable, StoreDamaged
from loaders.remote import RemoteLoader, read_address
from loaders.store import Store
from loaders.workspace import Workspace

PATH = "/api/v1/stores/a@b"
FEATURES, SAMPLES = 3, 100
FACTS = {"features": FEATURES, "samples": SAMPLES, "fingerprints": {"sae": "s1", "dataset": "d1", "model": "m1"}}
FIRST = f"{PATH}/features/1/activations.arrow"


@pytest.fixture
def address(workspace: Workspace, store: Store, tmp_path: Path) -> Iterator[str]:
    """The store behind a real server."""
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    running = make_server("127.0.0.1", 0, create_api_server(workspace, catalog=catalog), threaded=True)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/api/v1/stores/{store.id}"
    running.shutdown()
    thread.join()
    running.server_close()
    catalog.close()


class Prepared(ThreadingHTTPServer):
    """Answers prepared bytes by path, as a server of another make or age might; counts its connections."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Prepares)
        self.answers: dict[str, bytes] = {PATH: json.dumps(FACTS).encode()}
        self.missing = 0  # bytes that are promised and not sent
        self.connections = 0
        self.closes = False  # after every answer, without saying so

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        self.connections += 1
        return super().get_request()


class Prepares(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Prepared

    def do_GET(self) -> None:
        body = self.server.answers.get(self.path)
        self.send_response(404 if body is None else 200)
        body = b'{"error": "No such thing here.", "status": 404}' if body is None else body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_short = bool(self.server.missing) and self.path != PATH
        self.wfile.write(body[: len(body) - self.server.missing] if is_short else body)
        self.close_connection = self.close_connection or self.server.closes or is_short

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def prepared() -> Iterator[Prepared]:
    with Prepared() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def stream(indices: list[int], values: list[float], **said: str) -> bytes:
    """An Arrow stream of feature 1, one row to a batch; `said` replaces what its metadata states."""
    facts = {"feature_id": "1", "total": str(len(indices)), "sae_fingerprint": "s1", "dataset_fingerprint": "d1"}
    fields = [("sample_index", pa.uint32()), ("activation", pa.float32())]
    schema = pa.schema(fields, metadata={**facts, **said})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table([indices, values], schema=schema), max_chunksize=1)
    return sink.getvalue().to_pybytes()


def test_a_remote_store_gives_the_activations_of_the_local_one(address: str, store: Store, tmp_path: Path) -> None:
    (tmp_path / "remote.json").write_text(json.dumps({"url": address}))
    loader = RemoteLoader(tmp_path)
    assert loader.is_available
    assert loader.features == store.features
    for feature in range(store.features):
        found, wanted = loader.load(feature), store.activations(feature)
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(found.activations, wanted.activations)
        assert (found.indices.dtype, found.activations.dtype) == (np.uint32, np.float32)


def test_several_threads_read_through_one_loader(address: str, store: Store) -> None:
    loader = RemoteLoader.at(address)
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda feature: len(loader.load(feature).indices), range(store.features)))
    assert counts == store.stats()["n"].tolist()


def test_a_thread_keeps_its_connection(prepared: Prepared) -> None:
    prepared.answers[FIRST] = stream([1, 5], [0.5, 0.25])
    loader = RemoteLoader.at(prepared.url)
    for _ in range(5):
        assert loader.load(1).indices.tolist() == [1, 5]
    assert prepared.connections == 1


def test_a_connection_that_was_closed_in_the_meantime_is_opened_again(prepared: Prepared) -> None:
    prepared.answers[FIRST] = stream([1, 5], [0.5, 0.25])
    prepared.closes = True
    loader = RemoteLoader.at(prepared.url)
    for _ in range(3):
        assert loader.load(1).activations.tolist() == [0.5, 0.25]
    assert prepared.connections == 4


def test_an_unknown_feature_is_refused_by_its_number(address: str, store: Store) -> None:
    loader = RemoteLoader.at(address)
    for unknown in (-1, store.features):
        with pytest.raises(FeatureNotFound, match=str(unknown)):
            loader.load(unknown)


def test_a_store_that_the_server_does_not_have_is_told_in_the_servers_words(address: str) -> None:
    with pytest.raises(SourceUnavailable, match="status 404: There is no store 'none@texts'"):
        RemoteLoader.at(f"{address.rpartition('/')[0]}/none@texts").load(0)


def test_a_server_that_is_away_is_named_with_what_to_do() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}{PATH}"
        with pytest.raises(SourceUnavailable, match=r"cannot be read \(.*refused\). Start its server with `loupe api`"):
            RemoteLoader.at(url).load(0)


def test_a_server_that_stays_silent_is_not_waited_for_forever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        loader = RemoteLoader.at(f"http://127.0.0.1:{silent.getsockname()[1]}{PATH}", timeout=0.1)
        with pytest.raises(SourceUnavailable, match="timed out"):
            loader.load(0)


def test_an_answer_that_ends_early_gives_no_numbers(prepared: Prepared) -> None:
    prepared.answers[FIRST] = stream([1, 5], [0.5, 0.25])
    for missing in (1, 8, 100, len(prepared.answers[FIRST])):
        prepared.missing = missing
        with pytest.raises(SourceUnavailable, match="cannot be read"):
            RemoteLoader.at(prepared.url).load(1)


def test_no_stream_that_was_cut_anywhere_is_taken_for_a_whole_one(prepared: Prepared) -> None:
    whole = stream([1, 5, 7], [0.5, 0.25, 1.0])
    loader = RemoteLoader.at(prepared.url)
    for length in range(len(whole) - 8):  # the last eight bytes only say that it ends here
        prepared.answers[FIRST] = whole[:length]
        with pytest.raises(SourceUnavailable, match="Nothing of it is used"):
            loader.load(1)
    prepared.answers[FIRST] = whole
    assert loader.load(1).indices.tolist() == [1, 5, 7]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>a login page</html>", "no whole Arrow stream"),
        (b"", "no whole Arrow stream"),
        (stream([1, 5], [0.5, 0.25], feature_id="2"), "something else than the activations of feature 1"),
        (stream([1, 5], [0.5, 0.25], total="3"), "2 of 3 activations"),
        (stream([1, 5], [0.5, 0.25], sae_fingerprint="s2"), "it was replaced"),
        (stream([1, 5], [0.5, 0.25], dataset_fingerprint="d2"), "it was replaced"),
        (stream([5, 1], [0.5, 0.25]), "no store holds"),
        (stream([1, 1], [0.5, 0.25]), "no store holds"),
        (stream([1, SAMPLES], [0.5, 0.25]), "no store holds"),
        (stream([1, 5], [0.5, float("nan")]), "no store holds"),
        (stream([1, 5], [0.5, float("inf")]), "no store holds"),
    ],
)
def test_an_answer_that_is_not_the_features_activations_is_refused(prepared: Prepared, body: bytes, words: str) -> None:
    prepared.answers[FIRST] = body
    with pytest.raises(SourceUnavailable, match=words):
        RemoteLoader.at(prepared.url).load(1)


def test_a_stream_of_another_schema_is_refused(prepared: Prepared) -> None:
    table = pa.table({"sample_index": [1], "activation": [0.5]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    prepared.answers[FIRST] = sink.getvalue().to_pybytes()
    with pytest.raises(SourceUnavailable, match="something else"):
        RemoteLoader.at(prepared.url).load(1)


@pytest.mark.parametrize("facts", [b"<html>", b"[]", b"{}", b'{"features": 3, "samples": 1}', b'{"features": "x"}'])
def test_a_server_that_is_no_loupe_is_refused(prepared: Prepared, facts: bytes) -> None:
    prepared.answers[PATH] = facts
    with pytest.raises(SourceUnavailable, match="no description of a store"):
        RemoteLoader.at(prepared.url).load(1)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        f"ftp://host{PATH}",
        f"http://{PATH}",
        "http://host",
        "http://host/api/v1/stores/",
        "http://host/api/v1/stores/../a@b",
        "http://host/api/v1/stores/a@b/features/1",
        f"http://host{PATH}?x=1",
        f"http://user:word@host{PATH}",
        f"http://host:port{PATH}",
        f"http://host:99999{PATH}",
        f"http://host{PATH}\r\nX: y",
        "",
    ],
)
def test_an_address_that_is_not_a_stores_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not the address of a store"):
        RemoteLoader.at(url)
    (tmp_path / "remote.json").write_text(json.dumps({"url": url}))
    with pytest.raises(StoreDamaged, match="does not say where the store is"):
        RemoteLoader(tmp_path)


@pytest.mark.parametrize("url", [f"https://lab.example{PATH}", f"http://[::1]:8765/loupe{PATH}/"])
def test_an_address_may_be_encrypted_or_lie_behind_a_prefix(url: str) -> None:
    assert read_address(url).geturl() == url.rstrip("/")


@pytest.mark.parametrize("text", ["", "{", "[]", '"http://host"', '{"url": 3}', '{"url": "http://host/a", "more": 1}'])
def test_a_pointer_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "remote.json").write_text(text)
    with pytest.raises(StoreDamaged, match=r"remote\.json"):
        RemoteLoader(tmp_path)


def test_a_directory_without_a_pointer_has_no_remote_store(tmp_path: Path) -> None:
    assert not RemoteLoader(tmp_path).is_available


def point(directory: Path, manifest: dict[str, object], url: str) -> RemoteLoader:
    directory.mkdir()
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "remote.json").write_text(json.dumps({"url": url}))
    return RemoteLoader(directory)


@pytest.mark.parametrize("kind", ["sae", "dataset"])
def test_a_pointer_to_a_store_of_another_sae_or_dataset_is_refused(
    address: str, store: Store, tmp_path: Path, kind: str
) -> None:
    def other(manifest: dict[str, dict[str, str]]) -> dict[str, object]:
        return {**manifest, "fingerprints": {**manifest["fingerprints"], kind: "another"}}

    assert len(point(tmp_path / "same", store.manifest, address).load(0).indices) == store.stats()["n"][0]
    with pytest.raises(StoreDamaged, match=f"another {kind}"):
        point(tmp_path / "other", other(store.manifest), address).load(0)


def test_a_store_is_opened_whole_where_only_its_activations_are_elsewhere(
    address: str, workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    here = Workspace(tmp_path / "here")
    shutil.copytree(workspace.dataset_dir("texts"), here.dataset_dir("texts"))
    heavy = shutil.ignore_patterns("features.zarr", "activations")
    shutil.copytree(store.directory, here.store_dir(store.id), ignore=heavy)
    (here.store_dir(store.id) / "remote.json").write_text(json.dumps({"url": address}))
    opened = here.open_store(store.id)
    assert isinstance(opened.loader, RemoteLoader)
    assert opened.feature(5) == store.feature(5)
    assert opened.top_tokens(5).equals(store.top_tokens(5))
