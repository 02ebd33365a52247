"""The server's benchmark counts what it says it counts: lost, doubled and disordered edits, requests without an answer."""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.serving import make_server

from benchmarks.server_clients import Person, ordered
from benchmarks.server_process import copy_sqlite, durable_postgres
from benchmarks.server_recording import Recorded
from benchmarks.server_writers import Saved, Writer, check_catalog
from catalog.catalog import Catalog
from catalog.errors import CatalogUnavailable
from catalog.labels import history, put_label
from loaders.store import Store

SAE = "f00d"
NOTHING_WRONG = {"missing": 0, "out_of_order": 0, "twice": 0, "writers_that_gave_up": 0}
BODY = {"output": "a.data", "inputs": [{"id": "a", "property": "getRowsRequest", "value": {"startRow": 0}}]}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def written(url: str) -> Writer:
    """A writer whose four edits of two features are in the catalog as they were acknowledged."""
    catalog = Catalog(url)
    writer = Writer(0, "http://127.0.0.1:1", "store", 4)
    for feature, version in ((0, 1), (1, 1), (0, 2), (1, 2)):
        name = f"writer 0 edit {len(writer.acknowledged)}"
        put_label(catalog, "sae", SAE, feature, name, "", "ada", version - 1 or None)
        writer.acknowledged.append(Saved(feature, version, name))
    catalog.close()
    return writer


def test_a_catalog_that_holds_every_edit_is_found_whole(url: str, written: Writer) -> None:
    assert check_catalog(url, SAE, [written]) == NOTHING_WRONG


def test_an_edit_that_is_not_there_or_under_another_version_is_missing(url: str, written: Writer) -> None:
    written.acknowledged += [Saved(0, 3, "writer 0 edit 4"), Saved(1, 3, "writer 0 edit 3")]
    assert check_catalog(url, SAE, [written])["missing"] == 2
    assert check_catalog(url, "another sae", [written])["missing"] == 6


def test_an_edit_that_was_saved_twice_is_counted(url: str, written: Writer) -> None:
    catalog = Catalog(url)
    put_label(catalog, "sae", SAE, 1, "writer 0 edit 3", "", "ada", 2)
    catalog.close()
    assert check_catalog(url, SAE, [written]) == NOTHING_WRONG | {"twice": 1}


def test_an_edit_that_came_before_an_earlier_one_is_out_of_order(url: str, written: Writer) -> None:
    written.acknowledged.reverse()
    assert check_catalog(url, SAE, [written]) == NOTHING_WRONG | {"out_of_order": 2}


def test_a_writer_that_did_not_come_to_its_end_is_counted(url: str, written: Writer) -> None:
    written.edits = 5
    assert check_catalog(url, SAE, [written]) == NOTHING_WRONG | {"writers_that_gave_up": 1}


class Forgetful:
    """A server that does what every third request asks for, and then answers that it could not."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application, self.asked = application, 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        if self.asked % 3:
            return self.application(environ, start)
        list(self.application(environ, lambda *_: lambda _: None))
        start("503 Service Unavailable", [("Retry-After", "1"), ("Content-Length", "0")])
        return []


def test_a_writer_sends_an_edit_again_that_was_saved_without_an_answer_and_it_is_there_once(
    server: Flask, store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(url)
    monkeypatch.setitem(server.config["LOUPE"], "catalog", catalog)
    running = make_server("127.0.0.1", 0, Forgetful(server.wsgi_app), threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    writers = [Writer(number, f"http://127.0.0.1:{running.server_port}", store.id, 12) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    running.shutdown()
    thread.join()
    assert [writer.failure for writer in writers] == ["", ""]
    assert sum(writer.unavailable for writer in writers) >= 8
    assert check_catalog(url, store.sae_fingerprint, writers) == NOTHING_WRONG
    assert sum(len(history(catalog, store.sae_fingerprint, feature)) for feature in range(10)) == 24
    catalog.close()


def test_a_writer_that_is_refused_gives_up_and_says_why(
    server: Flask, live_server: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}")
    monkeypatch.setitem(server.config["LOUPE"], "catalog", catalog)
    writer = Writer(10**6, live_server, store.id, 3)
    writer.start()
    writer.join()
    assert writer.acknowledged == [] and "404" in writer.failure
    catalog.close()


@contextmanager
def answering(script: list[list[bytes]]) -> Iterator[str]:
    """A server that takes one connection after the other and answers each request on it with the script's next words; an
    empty answer shuts the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in script:
            connection, _ = listener.accept()
            with connection:
                for words in answers:
                    connection.recv(2**16)
                    connection.sendall(words)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)
    listener.close()


def person(address: str, keeps_connection: bool) -> Person:
    recorded = Recorded("s", 1, [BODY], [BODY], [BODY], [BODY], [BODY])
    return Person(0, address, recorded, 2, think_s=0, keeps_connection=keeps_connection)


def test_a_request_that_was_accepted_and_not_answered_is_an_error_and_never_sent_again() -> None:
    with answering([[ANSWER], [b""]]) as address:
        client = person(address, keeps_connection=False)
        client.send(BODY)
        with pytest.raises(ConnectionError):
            client.send(BODY)
        assert client.reopened == 0


def test_a_kept_connection_that_was_shut_between_two_requests_is_opened_anew_and_counted() -> None:
    with answering([[ANSWER], [ANSWER]]) as address:
        client = person(address, keeps_connection=True)
        client.send(BODY)
        client.send(BODY)
        assert client.reopened == 1


def test_everything_that_goes_wrong_while_people_click_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.server_clients.PATIENCE_S", 1.0)
    with answering([[b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"]]) as address:
        client = person(address, keeps_connection=False)
        client.start()
        while not client.failures:
            client.join(0.01)
        client.stopped.set()
        client.join(20)
    assert "500" in client.failures[0] and client.clicks == []


def test_a_table_is_asked_for_in_another_order_and_the_recording_stays_as_it_was() -> None:
    changed = ordered([BODY], "name", {})
    wanted = {"startRow": 0, "sortModel": [{"colId": "name", "sort": "desc"}], "filterModel": {}}
    assert changed["inputs"][0]["value"] == wanted
    assert BODY["inputs"][0]["value"] == {"startRow": 0}  # type: ignore[index]


def test_a_catalog_in_use_is_copied_with_what_it_has_not_yet_moved_into_its_file(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}")
    put_label(catalog, "sae", SAE, 0, "oak", "", "ada", None)
    copy_sqlite(tmp_path / "c.sqlite", tmp_path / "copy.sqlite")
    catalog.close()
    with closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copied:
        assert copied.execute("select name from labels").fetchall() == [("oak",)]
    copy_sqlite(tmp_path / "none.sqlite", tmp_path / "empty.sqlite")
    assert not (tmp_path / "empty.sqlite").exists()


def test_the_postgresql_of_the_figures_waits_for_the_disk_and_dies_with_all_its_processes() -> None:
    with durable_postgres() as postgres:
        catalog = Catalog(postgres.make_database())
        with suppress(CatalogUnavailable), catalog.read() as session:
            assert session.execute(text("show fsync")).scalar_one() == "on"
            serving = psutil.Process(session.execute(text("select pg_backend_pid()")).scalar_one())
            postgres.kill()
        assert not serving.is_running() and not postgres.is_running
        catalog.close()
        postgres.start()
