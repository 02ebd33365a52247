"""docs/api.md names every route, and its examples do what they say."""

import json
import re
import shlex
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.serving import make_server

from catalog.catalog import Catalog
from dashboard.api_server import create_api_server
from loaders.store import Store
from loaders.workspace import Workspace

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
HEADINGS = re.findall(r"^### `(.+)`$", DOCS, re.MULTILINE)
EXAMPLES = re.findall(r"^```console\n\$ (curl .+)\n((?:.+\n)+)```$", DOCS, re.MULTILINE)
COMMANDS = re.findall(r"^\$ (curl .+)$", DOCS, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n((?:.*\n)+?)```$", DOCS, re.MULTILINE)
ADDRESSES = ("http://127.0.0.1:8050", "http://127.0.0.1:8765")


@pytest.fixture
def server(workspace: Workspace, store: Store, catalog: Catalog) -> Flask:
    """The activation server, which has every documented address."""
    return create_api_server(workspace, store.id, catalog)


@pytest.fixture
def address(server: Flask) -> Iterator[str]:
    """A real server, as the examples need one."""
    listening = make_server("127.0.0.1", 0, server, threaded=True)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def in_tests(text: str, address: str, store: Store) -> str:
    """The example with this server's address, store and a feature that fires in place of the documented ones."""
    feature = int(store.stats()["n"].to_numpy().argmax())
    for documented in ADDRESSES:
        text = text.replace(documented, address)
    text = text.replace("minilm-l1@docs", store.id).replace("minilm-l1", store.sae_id)
    text = re.sub(r"\b(features/|activations/|load\()17\b", rf"\g<1>{feature}", text)
    return text.replace('"feature_id": 17', f'"feature_id": {feature}')


def curl(command: str) -> tuple[int, Any]:
    """Status and JSON of a curl command with -X, -H, -b and -d."""
    words = iter(shlex.split(command)[1:])
    method, headers, body, url = "GET", {}, None, ""
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-b":
            headers["Cookie"] = next(words)
        elif word == "-d":
            body = next(words).encode()
        elif word == "-o":
            next(words)
        else:
            url = word
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def assert_covers(answer: Any, documented: Any, where: str = "answer") -> None:
    """Every documented key is answered with a value of the documented type (null may stand for anything)."""
    if isinstance(documented, dict):
        assert isinstance(answer, dict), where
        for key, value in documented.items():
            assert key in answer, f"{where} has no '{key}'"
            assert_covers(answer[key], value, f"{where}.{key}")
    elif isinstance(documented, list):
        assert isinstance(answer, list), where
        if documented and answer:
            assert_covers(answer[0], documented[0], f"{where}[0]")
    elif documented is not None and answer is not None:
        kinds = (int, float) if isinstance(documented, float) else type(documented)
        assert isinstance(answer, kinds), f"{where}: {answer!r} is not like {documented!r}"


def documented_form(rule: str) -> str:
    return (
        rule.replace("<store_id>", "<store>")
        .replace("<feature>", "<id>")
        .replace("<context>", "<i>")
        .replace("<list_id>", "<list>")
    )


def registered(server: Flask) -> dict[str, str]:
    """Method and path of every route, as they are documented, by endpoint."""
    found = {}
    for rule in server.url_map.iter_rules():
        if rule.endpoint != "api.unknown" and rule.rule != "/api/v1":  # the index, without its last slash
            (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found[rule.endpoint] = f"{method} {documented_form(rule.rule)}"
    return found


def test_every_route_is_documented_and_every_documented_route_exists(server: Flask) -> None:
    assert sorted(registered(server).values()) == sorted(HEADINGS)


def test_the_documented_number_of_addresses_is_the_number_of_routes(server: Flask) -> None:
    of_both = [path for path in registered(server).values() if " /api/v1/" in path]
    totals = [json.loads(answer)["total"] for command, answer in EXAMPLES if command.endswith(("/api/v1/", ":8765/"))]
    assert totals == [len(of_both), len(registered(server))]


def test_every_route_has_an_example_and_every_example_a_route(server: Flask) -> None:
    shown = set()
    for command in COMMANDS:
        words = shlex.split(command)
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        split = urlsplit(words[-1])
        assert f"{split.scheme}://{split.netloc}" in ADDRESSES
        shown.add(server.url_map.bind("").match(split.path, method)[0])
    assert shown == set(registered(server))


def test_every_documented_command_answers_as_documented(address: str, store: Store) -> None:
    assert len(EXAMPLES) == len(COMMANDS) - 2  # those of the Arrow streams save a file
    for command, documented in EXAMPLES:
        wanted = json.loads(in_tests(documented, address, store))
        status, answer = curl(in_tests(command, address, store))
        assert status == wanted.get("status", 200) or wanted.get("status") == "ok", answer
        assert_covers(answer, wanted, command)


def test_saving_as_documented_tells_the_documented_story(address: str, store: Store) -> None:
    _, save, stale = [in_tests(command, address, store) for command, _ in EXAMPLES if command.endswith("/label")]
    saved = curl(save)[1]
    assert (saved["name"], saved["author"]) == ("trees", "Ada L.")
    status, refused = curl(stale)
    assert status == 409
    assert (refused["current"]["name"], refused["submitted"]["name"]) == ("trees", "nodes")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_documented_program_runs(
    program: str, address: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(in_tests(program, address, store), "docs/api.md", "exec"), {})
    n, highest = capsys.readouterr().out.split()
    assert int(n) == store.stats()["n"].max()
    assert float(highest) > 0
