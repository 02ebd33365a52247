"""docs/commands.md names every option and every JSON key of the verbs that ask."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from loaders.workspace import Workspace
from loupe import questions

STORE = "tiny-l0@texts"
PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## [^\n]*`loupe ([a-z-]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
OPEN_KEYS = ("quality", "tables", "metadata", "fates", "dead")  # their keys are those of the data
ASKED = [
    ["list-models"],
    ["hooks", "tiny"],
    ["overview", STORE],
    ["find-examples", STORE, "5"],
    ["decoder", "tiny-l0", "5"],
    ["track-abstractions", "tiny", "--feature", f"{STORE}:5"],
]


def parser() -> tuple[argparse.ArgumentParser, Any]:
    made = argparse.ArgumentParser()
    verbs = made.add_subparsers(dest="verb")
    questions.add_verbs(verbs)
    return made, verbs


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys(part) for name, part in value.items() if name not in OPEN_KEYS))


def test_every_verb_and_option_is_described() -> None:
    for verb, own in parser()[1].choices.items():
        options = {word for action in own._actions for word in action.option_strings if word.startswith("--")}
        for option in options - {"--help", "--workspace", "--json"}:
            assert option in SECTIONS[verb], f"{option} of {verb}"


@pytest.mark.parametrize("words", ASKED, ids=lambda words: words[0])
def test_every_key_is_described(workspace: Workspace, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parsed = parser()[0].parse_args([*words, "--workspace", str(workspace.root), "--json"])
    assert parsed.call(parsed) == 0
    found = keys(json.loads(capsys.readouterr().out))
    assert found and {key for key in found if f"`{key}`" not in SECTIONS[words[0]]} == set()
