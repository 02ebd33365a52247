"""A manifest that says what cannot be is refused in words, whatever it says, and takes no other store with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import LoupeError, StoreDamaged
from loaders.workspace import Workspace

STORE = "tiny-l0@texts"
LISTED = {"bytes": 1, "sha256": "0"}


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(workspace.root, tmp_path / "w")
    return Workspace(tmp_path / "w")


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"a\0b": LISTED}},
        {"files": []},
        {"files": {"a": {}}},
        {"files": {"a": [1]}},
        {"files": {"a": {"bytes": "x", "sha256": "0"}}},
        {"files": {"a" * 5_000: LISTED}},
        {"fingerprints": []},
        {"fingerprints": {}},
        {"dataset": 5},
        {"sae": None},
        {"samples": "x"},
    ],
)
def test_a_manifest_of_wrong_types_is_refused_in_words(copied: Workspace, change: dict[str, Any]) -> None:
    path = copied.store_dir(STORE) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreDamaged):
        copied.open_store(STORE)
    assert copied.open_store("tiny-l1@texts").samples > 0


def test_a_manifest_without_end_is_refused_in_words(copied: Workspace) -> None:
    (copied.store_dir(STORE) / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(LoupeError, match="is not valid JSON"):
        copied.open_store(STORE)


@pytest.mark.parametrize("text", ["[]", "5", '{"metadata": 5}', "[" * 100_000])
def test_settings_that_are_none_are_refused_in_words(copied: Workspace, text: str) -> None:
    (copied.sae_dir("tiny-l0") / "cfg.json").write_text(text)
    with pytest.raises(StoreDamaged):
        copied.sae("tiny-l0")
