"""`loupe hub` shares, finds, brings and checks; its reports are for people or for programs, and all are documented."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import BadInput
from loaders.workspace import Workspace
from loupe import hub

STORE = "tiny-l0@texts"
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hub.md").read_text()
OPEN_KEYS = ("quality",)  # its keys are those of the data


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    hub.add_verbs(made.add_subparsers(dest="verb"))
    return made


def call(*words: str) -> int:
    parsed = parser().parse_args(["hub", *words])
    return int(parsed.call(parsed))


@pytest.fixture
def ask(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls a verb with --json on a hub of the test's own; returns the exit code and the report."""

    def run(*words: str, root: Path | None = None) -> tuple[int, Any]:
        code = call(*words, "--hub", str(tmp_path / "hub"), "--workspace", str(root or workspace.root), "--json")
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def filled(ask: Any) -> Any:
    """The same with a dataset, an SAE and a store pushed."""
    ask("push", "datasets/texts", "--version", "1.0.0", "--license", "CC0-1.0", "--tag", "english")
    more = ["--tag", "small", "--tag", "english", "--description", "First layer of a tiny encoder", "--author", "Ada"]
    ask("push", "saes/tiny-l0", "--version", "1.0.0", "--license", "MIT", *more)
    ask("push", "saes/tiny-l0", "--version", "1.1.0", "--license", "MIT", *more)
    needs = ["--depends", "texts@^1", "--depends", "tiny-l0@^1"]
    ask("push", f"stores/{STORE}", "--name", "read-out", "--version", "0.1.0", "--license", "MIT", *needs)
    return ask


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["list"], ["read-out", "texts", "tiny-l0"]),
        (["list", "--all"], ["read-out", "texts", "tiny-l0", "tiny-l0"]),
        (["list", "--kind", "sae"], ["tiny-l0"]),
        (["list", "--tag", "english"], ["texts", "tiny-l0"]),
        (["list", "--tag", "english", "--tag", "small"], ["tiny-l0"]),
        (["list", "--model", "TINY"], ["read-out", "tiny-l0"]),
        (["list", "--model", "gpt2"], []),
        (["search", "ENCODER", "ada"], ["tiny-l0"]),
        (["search", "encoder.layer.0"], ["read-out", "tiny-l0"]),
        (["search", "encoder", "nothing"], []),
    ],
)
def test_what_somebody_looks_for_is_found(filled: Any, words: list[str], found: list[str]) -> None:
    code, report = filled(*words)
    assert code == 0 and [each["name"] for each in report["artifacts"]] == found
    assert {each["state"] for each in report["artifacts"]} <= {"here"}


def test_a_model_is_found_by_the_beginning_of_its_fingerprint(filled: Any, workspace: Workspace) -> None:
    fingerprint = workspace.sae("tiny-l0").metadata["fingerprints"]["model"]
    assert len(filled("list", "--model", fingerprint[:10])[1]["artifacts"]) == 2


def test_a_pull_says_what_came_and_what_was_there(filled: Any, tmp_path: Path) -> None:
    root = tmp_path / "new"
    assert {each["state"] for each in filled("list", root=root)[1]["artifacts"]} == {"absent"}
    code, report = filled("pull", "tiny-l0@~1.0", root=root)
    assert (code, report["artifacts"], report["added"]) == (0, ["tiny-l0@1.0.0"], ["saes/tiny-l0"])
    code, report = filled("pull", "read-out", root=root)
    assert report["artifacts"] == ["texts@1.0.0", "tiny-l0@1.1.0", "read-out@0.1.0"]
    assert (report["present"], report["added"]) == (["saes/tiny-l0"], ["datasets/texts", f"stores/{STORE}"])
    assert {each["state"] for each in filled("list", root=root)[1]["artifacts"]} == {"here"}


def test_verify_names_the_damaged_file_with_exit_code_1(filled: Any, tmp_path: Path) -> None:
    assert filled("verify", "tiny-l0")[0] == 0
    path = tmp_path / "hub" / "tiny-l0" / "1.1.0" / "saes" / "tiny-l0" / "sae_weights.safetensors"
    path.write_bytes(path.read_bytes()[::-1])
    code, report = filled("verify", "tiny-l0")
    assert code == 1 and len(report["faults"]) == 1 and "sae_weights.safetensors" in report["faults"][0]
    assert filled("verify", "tiny-l0@1.0.0")[0] == 0


def test_verify_with_a_model_compares_and_a_pull_refuses_what_does_not_fit(filled: Any, tmp_path: Path) -> None:
    code, report = filled("verify", "tiny-l0", "--model", "tiny")
    assert (code, report["model"], report["differences"]) == (0, "tiny", [])
    with pytest.raises(BadInput, match=r"does not fit model 'minilm': It was made for 'tiny'"):
        filled("pull", "tiny-l0", "--model", "minilm", root=tmp_path / "new")
    assert not (tmp_path / "new" / "saes").exists()


def test_the_hub_is_named_by_an_option_a_variable_or_a_folder_of_the_workspace(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOUPE_HUB", raising=False)
    with pytest.raises(BadInput, match="No hub is named"):
        call("list", "--workspace", str(tmp_path / "elsewhere"))
    assert call("list", "--workspace", str(tmp_path)) == 0  # its folder `hub`
    monkeypatch.setenv("LOUPE_HUB", str(tmp_path / "hub"))
    assert call("list", "--workspace", str(tmp_path / "elsewhere")) == 0
    said = capsys.readouterr().out
    assert said.count("3 artifacts in") == 2


def test_people_read_a_table(filled: Any, workspace: Workspace, tmp_path: Path, capsys: Any) -> None:
    place = ["--hub", str(tmp_path / "hub"), "--workspace", str(workspace.root)]
    call("list", *place)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name", "version", "kind", "model", "FVU", "license", "size", "here", "tags", "description"
    ]  # fmt: skip
    assert lines[3].startswith("tiny-l0   1.1.0    sae")
    call("push", "saes/tiny-l1", "--version", "1.0.0", "--license", "MIT", *place)
    assert "tiny-l1@1.0.0 is published in" in capsys.readouterr().out
    call("verify", "tiny-l1", *place)
    assert re.match(r"tiny-l1@1\.0\.0 is whole: \d+ files", capsys.readouterr().out)
    call("verify", "tiny-l1", "--model", "tiny", *place)
    assert "fits tiny" in capsys.readouterr().out
    call("pull", "tiny-l1", "--hub", str(tmp_path / "hub"), "--workspace", str(tmp_path / "new"))
    assert "saes/tiny-l1 added" in capsys.readouterr().out


def test_an_artifacts_words_do_not_steer_the_terminal(
    filled: Any, workspace: Workspace, tmp_path: Path, capsys
) -> None:
    place = ["--hub", str(tmp_path / "hub"), "--workspace", str(workspace.root)]
    words = "\x1b[2Jgone\nnew line"
    call("push", "saes/tiny-l1", "--version", "1.0.0", "--license", "MIT", "--description", words, *place)
    call("list", *place)
    said = capsys.readouterr().out
    assert "\x1b" not in said and "gone new line" in said


def test_what_cannot_be_is_refused_before_anything_is_loaded(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="works on a local workspace"):
        call("pull", "x", "--hub", str(workspace.root), "--workspace", "s3://bucket/workspace")
    with pytest.raises(BadInput, match="no hub at"):
        call("list", "--hub", str(tmp_path / "gone"))


SERVING = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "tqdm", "zarr", "joblib", "google_crc32c", "fsspec"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from loupe.cli import main

sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", [["list"], ["search", "tiny"], ["pull", "read-out"], ["verify", "read-out"]])
def test_all_but_pushing_works_where_only_serving_is_installed(filled: Any, tmp_path: Path, words: list[str]) -> None:
    place = ["--hub", str(tmp_path / "hub"), "--workspace", str(tmp_path / "new")]
    done = subprocess.run(
        [sys.executable, "-c", SERVING, "hub", *words, *place], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "read-out" in done.stdout


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys(part) for name, part in value.items() if name not in OPEN_KEYS))


def test_every_option_and_every_key_is_described(filled: Any, tmp_path: Path) -> None:
    own = parser()._subparsers._group_actions[0].choices["hub"]._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    options = {(verb, word) for verb, one in own.items() for act in one._actions for word in act.option_strings}
    sections = dict(
        re.findall(r"^## [^\n]*`loupe hub ([a-z]+)`[^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    )
    sections["list"] = sections["search"]
    common = {"--help", "-h", "--workspace", "--hub", "--json"}
    assert {(verb, word) for verb, word in options if word not in common and f"`{word}" not in sections[verb]} == set()
    asked = [
        ("list",), ("push", "saes/tiny-l1", "--version", "1.0.0", "--license", "MIT"),
        ("verify", "tiny-l0"), ("verify", "tiny-l0", "--model", "tiny"),
    ]  # fmt: skip
    found = set().union(*(keys(filled(*words)[1]) for words in asked))
    found |= keys(filled("pull", "tiny-l0", root=tmp_path / "new")[1])
    assert {key for key in found if f"`{key}`" not in PAGE} == set()
