"""Health says in words whether the server can work; metrics count by route; the log has what helps and nothing secret."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask, g, request
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from catalog.catalog import Catalog
from catalog.errors import CatalogUnavailable
from dashboard import cache, health, trace
from dashboard.logs import REQUESTS, JsonLines, TextLines, log_config
from dashboard.metrics import metrics
from loaders.workspace import Workspace

SECRET = "hunter2-in-a-query"


@pytest.fixture
def serve(catalog: Catalog) -> Callable[[Workspace], FlaskClient]:
    """A small server with the routes of this file over any workspace."""

    def make(workspace: Workspace) -> FlaskClient:
        server = Flask("small")
        server.secret_key = "key"
        server.config["LOUPE"] = {"workspace": workspace, "catalog": catalog}
        trace.follow_requests(server)
        cache.keep_results(server, workspace)
        server.add_url_rule("/health", view_func=health.ready)
        server.add_url_rule("/health/live", view_func=health.alive)
        server.add_url_rule("/metrics", view_func=metrics)
        server.add_url_rule("/things/<name>", "thing", lambda name: name)

        def named() -> str:
            g.callback = "feature-band-data.data"
            return request.get_data(as_text=True)

        server.add_url_rule("/callback", view_func=named, methods=["POST"])
        return server.test_client()

    return make


@pytest.fixture
def client(serve: Callable[[Workspace], FlaskClient], workspace: Workspace) -> FlaskClient:
    return serve(workspace)


class Lines(logging.Handler):
    """What the log would hold, line by line."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))


@pytest.fixture(params=[JsonLines, TextLines])
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    handler, logger = Lines(request.param()), logging.getLogger("loupe")
    requests, before = logging.getLogger(REQUESTS), logging.getLogger(REQUESTS).level
    logger.addHandler(handler)
    requests.setLevel("INFO")
    yield handler
    logger.removeHandler(handler)
    requests.setLevel(before)


def samples(client: FlaskClient, name: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in found}


def test_a_server_that_can_work_says_so(client: FlaskClient) -> None:
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.get_json()["status"] == "ok" and answer.get_json()["problems"] == []
    assert client.get("/health/live").get_json() == {"status": "ok"}


def test_a_catalog_that_cannot_be_reached_is_told_without_its_address(
    client: FlaskClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> None:
        raise CatalogUnavailable("The catalog at postgresql://host/name cannot be used.")

    monkeypatch.setattr(catalog, "read", read)
    answer = client.get("/health")
    assert answer.status_code == 503 and answer.get_json()["status"] == "unready"
    assert "catalog" in answer.get_json()["problems"][0] and "postgresql" not in answer.text
    assert client.get("/health/live").status_code == 200


def test_a_store_that_cannot_be_opened_is_told(
    serve: Callable[[Workspace], FlaskClient], workspace: Workspace, tmp_path: Path
) -> None:
    shutil.copytree(workspace.root / "stores", tmp_path / "stores")
    shutil.copytree(workspace.root / "datasets", tmp_path / "datasets")
    client = serve(Workspace(tmp_path))
    assert client.get("/health").status_code == 200
    next((tmp_path / "stores").glob("tiny-l0@*/tables/stats.parquet")).unlink()
    answer = serve(Workspace(tmp_path)).get("/health")
    assert answer.status_code == 503 and answer.get_json()["problems"] == [
        "1 store cannot be opened: `loupe inspect` says why."
    ]


def test_requests_are_counted_by_route_and_never_by_address(client: FlaskClient) -> None:
    name = "loupe_request_seconds_count"
    before = samples(client, name).get(("GET", "/things/<name>", "200"), 0)
    for number in range(5):
        client.get(f"/things/{number}-{SECRET}")
    client.open("/nowhere/" + SECRET, method="BREW")
    found = samples(client, name)
    assert found["GET", "/things/<name>", "200"] == before + 5
    assert ("OTHER", trace.NO_ROUTE, "404") in found
    assert SECRET not in client.get("/metrics").text


def test_callbacks_cache_and_build_are_counted(client: FlaskClient) -> None:
    client.post("/callback", data="x")
    assert samples(client, "loupe_callback_seconds_count")["feature-band-data.data",] >= 1
    assert list(samples(client, "loupe_build_info").values()) == [1.0]
    assert samples(client, "loupe_requests_in_flight") == {(): 1.0}  # the one that asks


def test_a_request_leaves_one_line_with_what_helps_and_nothing_that_is_secret(
    client: FlaskClient, lines: Lines
) -> None:
    client.set_cookie("session", "cookie-" + SECRET)
    client.post(f"/callback?token={SECRET}", data=f"label {SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
    client.get(f"/things/{SECRET}")
    assert len(lines.written) == 2 and SECRET not in "".join(lines.written)
    for part in ("POST", "/callback", "200", "feature-band-data.data"):
        assert part in lines.written[0]
    assert "/things/<name>" in lines.written[1]


def test_the_json_lines_are_json(client: FlaskClient) -> None:
    handler, logger = Lines(JsonLines()), logging.getLogger(REQUESTS)
    logger.addHandler(handler)
    logger.setLevel("INFO")
    client.get("/health/live", headers={"X-Request-ID": "proxy-1"})
    logger.removeHandler(handler)
    (line,) = map(json.loads, handler.written)
    assert {"time", "level", "worker", "ms"} <= line.keys()
    assert (line["method"], line["route"], line["status"], line["request_id"]) == (
        "GET",
        "/health/live",
        200,
        "proxy-1",
    )


def test_an_error_in_the_log_has_its_place_and_only_the_first_line_of_its_words(lines: Lines) -> None:
    try:
        raise ValueError(f"UNIQUE constraint failed: labels\n[parameters: ('{SECRET}')]")
    except ValueError as error:
        logging.getLogger("loupe").error("callback\nfailed", exc_info=error)
    (line,) = lines.written
    assert "UNIQUE constraint failed: labels" in line and "test_health.py" in line and SECRET not in line
    assert "callback failed" in line  # a record cannot begin another line


def test_gunicorns_own_words_lose_the_query(lines: Lines) -> None:
    record = logging.LogRecord("gunicorn.error", 30, "", 0, "Error handling request /x?token=%s", (SECRET,), None)
    assert lines.format(record).endswith("/x") or '"message": "Error handling request /x"' in lines.format(record)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "né", "../x"])
def test_a_request_id_that_is_not_one_is_replaced(given: str, client: FlaskClient) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given.encode().decode("latin-1")})
    assert len(answer.headers["X-Request-ID"]) == 32


def test_quiet_logs_leave_requests_out_and_the_others_have_them() -> None:
    levels = {name: log_config(name)["loggers"][REQUESTS]["level"] for name in ("quiet", "text", "json")}
    assert levels == {"quiet": "WARNING", "text": "INFO", "json": "INFO"}
