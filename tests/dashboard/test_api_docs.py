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

import pytest
from flask import Flask
from werkzeug.serving import make_server

from catalog.catalog import Catalog
from dashboard import api
from loaders.store import Store
from loaders.workspace import Workspace

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
HEADINGS = re.findall(r"^### `(.+)`$", DOCS, re.MULTILINE)
EXAMPLES = re.findall(r"^```console\n\$ (curl .+)\n((?:.+\n)+)```$", DOCS, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n((?:.*\n)+?)```$", DOCS, re.MULTILINE)
ADDRESS = "http://127.0.0.1:8050"


@pytest.fixture
def server(workspace: Workspace, tmp_path: Path) -> Iterator[Flask]:
    made = Flask("loupe")
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    made.config["LOUPE"] = {"workspace": workspace, "catalog": catalog}
    api.register(made)
    yield made
    catalog.close()


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
    text = text.replace(ADDRESS, address).replace("minilm-l1@docs", store.id).replace("minilm-l1", store.sae_id)
    return text.replace("features/17", f"features/{feature}").replace('"feature_id": 17', f'"feature_id": {feature}')


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


def test_every_route_is_documented_and_every_documented_route_exists(server: Flask) -> None:
    routes = set()
    for rule in server.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.unknown":
            path = rule.rule.replace("<store_id>", "<store>").replace("<feature>", "<id>")
            routes |= {f"{method} {path}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert routes == set(HEADINGS)


def test_every_documented_command_answers_as_documented(address: str, store: Store) -> None:
    assert len(EXAMPLES) >= len(HEADINGS) - 1  # the Arrow stream is shown as a program
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
