"""Callbacks that no page can have sent are refused in words; none, however broken, is a server error."""

import copy
import json
import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dash
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog.catalog import Catalog
from dashboard import limits, payload
from dashboard.labels_view import View
from loaders.store import Store

PAYLOADS = {"values": 2_500, "anything": 7_500}
CALLBACK = "/_dash-update-component"
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**70, 10**400, 0.5, float("nan"), float("inf"), -float("inf"), "", " ", "0",
    "tiny-l0@texts", "../../etc/passwd", "/feature/tiny-l0@texts/1", "\u0000", "é" * 300, "😀", "<script>", "'; drop",
    [], [None], [[]], {}, {"": ""}, {"store": 1}, {"store": "x", "feature": -1}, {"store": "tiny-l0@texts", "feature": "1"},
    {"startRow": "a"}, {"startRow": -5, "endRow": 10**12, "filterModel": [], "sortModel": {}},
    {"startRow": 0, "endRow": 10, "filterModel": {"density": {"operator": "OR", "conditions": 3}}, "sortModel": [1]},
    {"points": []}, {"points": [{}]}, {"version": "x"},
]  # fmt: skip


@pytest.fixture
def client(server: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Asks the dashboard, with a catalog that takes what the broken callbacks write."""
    catalog = Catalog(f"sqlite:///{tmp_path / 'fuzzed.sqlite'}")
    monkeypatch.setitem(server.config["LOUPE"], "catalog", catalog)
    yield server.test_client()
    catalog.close()


def post(client: FlaskClient, body: Any) -> TestResponse:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(CALLBACK, data=text, content_type="application/json")


def filled(output: str, known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """A callback as a page sends it, with the values that a page of the tiny store has; None for all others.

    Pages read the outputs' names out of `output`, with the mark of one that several callbacks share.
    """

    def entry(spec: dict[str, str]) -> Any:
        if spec["id"].startswith("{"):
            return [{"id": {**json.loads(spec["id"]), "name": "x"}, "property": spec["property"], "value": None}]
        return {**spec, "value": values.get(f"{spec['id']}.{spec['property']}")}

    is_many = output.startswith("..")
    parts = [part.rpartition(".") for part in (output.strip(".").split("...") if is_many else [output])]
    named = [{"id": component, "property": name} for component, _, name in parts]
    inputs = [entry(spec) for spec in known["inputs"]]
    return {
        "outputs": named if is_many else named[0],
        "inputs": inputs,
        "state": [entry(spec) for spec in known["state"]],
        "changedPropIds": [f"{item['id']}.{item['property']}" for item in inputs if isinstance(item, dict)][:1],
    }


@pytest.fixture(scope="module")
def real(server: Flask, store: Store) -> list[dict[str, Any]]:
    """Every callback that the application has, as its pages send it."""
    place = {"store": store.id, "feature": 3, "generation": store.generation, "from": ""}
    request = {"startRow": 0, "endRow": 100, "filterModel": {}, "sortModel": [{"colId": "density", "sort": "desc"}]}
    values: dict[str, Any] = {
        "_pages_location.pathname": f"/feature/{store.id}/3",
        "shell-location.pathname": f"/feature/{store.id}/3",
        "shell-store.value": store.id,
        "feature-place.data": place,
        "feature-band.value": "40-60",
        "feature-rank.value": "tfidf",
        "feature-unit.value": "token",
        "feature-scale.value": "log",
        "feature-text.value": "snippet",
        "feature-column.value": "module",
        "feature-column.options": ["module", "kind"],
        "label-place.data": {"store": store.id, "feature": 3},
        "label-base.data": {"store": store.id, "feature": 3, "version": None, "name": "", "notes": "", "key": "a-key"},
        "labels-place.data": {"store": store.id, "view": View("queue")._asdict()},
        "labels-do.data": {"do": "take"},
        "labels-grid.getRowsRequest": {**request, "sortModel": []},
        "bulk-place.data": {"store": store.id, "features": [3, 5]},
        "explorer-store.data": store.id,
        "explorer-grid.getRowsRequest": request,
        "explorer-missing.children": "map",
    }
    server.test_client().get("/")
    known = dash.get_app().callback_map
    return [
        {"output": output, **filled(output, entry, values)} for output, entry in known.items() if "callback" in entry
    ]


class Mutation:
    """Breaks a callback somewhere, in one to four of many ways."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def places(self, value: Any, outer: Any = None, key: Any = None) -> Iterator[tuple[Any, Any]]:
        if outer is not None:
            yield outer, key
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, item in inside:
            yield from self.places(item, value, name)

    def strange(self) -> Any:
        kind = self.random.randrange(6)
        if kind == 0:
            return "".join(self.random.choices(string.printable + "éß漢😀\u2028\u0000", k=self.random.randrange(40)))
        if kind == 1:
            return [copy.deepcopy(self.random.choice(STRANGE)) for _ in range(self.random.randrange(4))]
        if kind == 2:
            nested: Any = self.random.choice(STRANGE)
            for _ in range(self.random.choice([3, 30, 70, 400])):
                nested = [nested] if self.random.random() < 0.5 else {"a": nested}
            return nested
        return copy.deepcopy(self.random.choice(STRANGE))

    def __call__(self, body: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
        body = copy.deepcopy(body)
        for _ in range(self.random.randint(1, 4)):
            outer, key = self.random.choice(list(self.places(body)))
            way = self.random.randrange(8)
            if way == 0:
                del outer[key]
            elif way == 1 and isinstance(outer, list):
                outer.append(copy.deepcopy(outer[key]))
            elif way == 2:
                body[self.random.choice(list(body) or ["x"])] = copy.deepcopy(
                    self.random.choice(list(self.random.choice(others).values()))
                )
            elif way == 3 and isinstance(outer, dict):
                outer[self.random.choice(["id", "property", "value", "x", ""])] = self.strange()
            else:
                outer[key] = self.strange()
            if not body:
                break
        return body

    def values_only(self, body: dict[str, Any]) -> dict[str, Any]:
        """Other values in a callback of the right form, which reach the callback's own code."""
        body = copy.deepcopy(body)
        for entry in [*body["inputs"], *body["state"]]:
            for item in entry if isinstance(entry, list) else [entry]:
                if self.random.random() < 0.4:
                    item["value"] = self.strange()
        return body


def test_every_real_callback_passes(client: FlaskClient, real: list[dict[str, Any]]) -> None:
    assert len(real) > 30
    for body in real:
        answer = post(client, body)
        assert answer.status_code in (200, 204), (body["output"], answer.text)


@pytest.mark.parametrize("part", ["values", "anything"])
def test_thousands_of_broken_callbacks_are_no_server_error(
    part: str, client: FlaskClient, real: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")  # a callback that raises writes its trace, as it should
    mutate, choose = Mutation(5), random.Random(6)
    found: dict[int, int] = {}
    for number in range(PAYLOADS[part]):
        body = choose.choice(real)
        broken = mutate.values_only(body) if part == "values" else mutate(body, real)
        answer = post(client, broken)
        found[answer.status_code] = found.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (number, json.dumps(broken)[:2_000], answer.text)
    assert set(found) <= {200, 204, 400, 404} and found[200] > 100, found
    assert found[400] > 100, found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b'{"output": ' + b"9" * 10_000 + b"}",
        b'{"output": "\\ud800"}',
        b"{}",
    ],
)
def test_a_body_that_is_no_callback_is_refused_in_a_sentence(client: FlaskClient, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.get_json()["error"].endswith(".") and "Traceback" not in answer.text


def test_a_callback_of_the_browsers_own_is_refused(client: FlaskClient) -> None:
    known = dash.get_app().callback_map
    output = next(output for output, entry in known.items() if "callback" not in entry)
    assert post(client, {"output": output, **filled(output, known[output], {})}).status_code == 400


def test_half_a_character_in_a_value_is_refused(client: FlaskClient, real: list[dict[str, Any]]) -> None:
    body = copy.deepcopy(next(body for body in real if body["inputs"]))
    body["inputs"][0]["value"] = "\ud800"
    answer = post(client, body)
    assert answer.status_code == 400 and "half a character" in answer.get_json()["error"]


@pytest.mark.parametrize("part", ["inputs", "state"])
def test_a_relabelled_component_is_refused(part: str, client: FlaskClient, real: list[dict[str, Any]]) -> None:
    body = copy.deepcopy(next(body for body in real if body["inputs"] and body["state"]))
    body[part][0]["id"] = "elsewhere"
    body["changedPropIds"] = []
    answer = post(client, body)
    assert answer.status_code == 400 and part in answer.get_json()["error"]


def test_an_output_that_the_callback_does_not_have_is_refused(client: FlaskClient, real: list[dict[str, Any]]) -> None:
    body = copy.deepcopy(next(body for body in real if isinstance(body["outputs"], list)))
    body["outputs"][0]["property"] = "style"
    assert "outputs" in post(client, body).get_json()["error"]


def test_a_page_of_an_older_version_is_told_to_reload(client: FlaskClient) -> None:
    answer = post(client, {"output": "gone.children", "inputs": [], "changedPropIds": []})
    assert answer.status_code == 400 and "reload the page" in answer.get_json()["error"]


@pytest.mark.parametrize(("levels", "depth"), [(0, 0), (1, 1), (64, 64), (65, 65), (900, 65)])
def test_depth_counts_lists_and_objects_and_stops_early(levels: int, depth: int) -> None:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"x": value, "y": 2}
    assert payload.depth_of(value) == depth


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient) -> None:
    answer = post(client, b" " * (limits.MAX_BODY + 1))
    assert answer.status_code == 413 and "32 MiB" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("DELETE", "/", 405, "does not take that method"),
        ("PUT", CALLBACK, 405, "does not take that method"),
        ("GET", "/assets/none.js", 404, "no such page"),
        ("GET", "/_dash-component-suites/none/x.js", 404, "no such page"),
        ("GET", "/_dash-component-suites/dash/../../secret.js", 404, "no such page"),
        ("POST", CALLBACK, 415, "must be JSON"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(
    method: str, path: str, status: int, words: str, client: FlaskClient
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status and words in answer.get_json()["error"]
