"""`loupe neuronpedia` on the command line, and its page."""

import argparse
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from catalog.catalog import Catalog
from catalog.labels import put_label
from loaders.workspace import Workspace
from loupe import neuronpedia
from loupe.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "neuronpedia.md").read_text()


def verbs() -> dict[str, argparse.ArgumentParser]:
    made = argparse.ArgumentParser()
    top = made.add_subparsers()
    neuronpedia.add_verbs(top)
    (own,) = (action for action in top.choices["neuronpedia"]._actions if action.choices)
    return dict(own.choices or {})  # type: ignore[arg-type]


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


@pytest.fixture
def place(workspace: Workspace, tmp_path: Path) -> Path:
    """A workspace of its own with one store and one label."""
    for part in ("datasets/texts", "saes/tiny-l0", "stores/tiny-l0@texts"):
        shutil.copytree(workspace.root / part, tmp_path / "w" / part)
    catalog = Catalog(Workspace(tmp_path / "w").catalog_url)
    own = workspace.sae("tiny-l0").metadata["fingerprints"]["sae"]
    put_label(catalog, "tiny-l0", own, 5, "quotes", "seen twice", "Ada", None)
    catalog.close()
    return tmp_path / "w"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["neuronpedia", *map(str, words)])
    return code, capsys.readouterr().out


def test_a_bundle_goes_out_is_verified_shown_and_comes_in(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, out = ("--workspace", place), tmp_path / "out"
    code, said = run(capsys, "export", "tiny-l0@texts", "--to", out, "--last", 30, "--top", 5, *there, "--json")
    report = json.loads(said)
    assert code == 0 and (report["features"], report["explanations"], report["source"]) == (31, 1, "0-tiny")
    found = keys(report)
    assert run(capsys, "verify", out)[0] == 0
    code, said = run(capsys, "verify", out, "--store", "tiny-l0@texts", *there)
    assert code == 0 and "every checked value is right" in said and "not checked: logits" in said
    code, said = run(capsys, "verify", out, "--json")
    found |= keys(json.loads(said))
    for words in ((), (5,)):
        assert "quotes" in run(capsys, "show", out, *words)[1]
        found |= keys(json.loads(run(capsys, "show", out, *words, "--json")[1]))
    (place / "catalog.sqlite").unlink()
    code, said = run(capsys, "import", out, "--sae", "tiny-l0", *there)
    assert code == 0 and "would be written (add --yes)" in said and not (place / "catalog.sqlite").exists()
    report = json.loads(run(capsys, "import", out, "--store", "tiny-l0@texts", "--yes", *there, "--json")[1])
    assert (report["new"], report["written"], report["kept"]) == (1, True, [])
    found |= keys(report)
    assert {key for key in found if f"`{key}`" not in PAGE} == set()


def test_a_damaged_bundle_ends_with_one_and_says_where(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "export", "tiny-l0@texts", "--to", tmp_path / "out", "--last", 3, "--workspace", place)
    file = next((tmp_path / "out").rglob("features/batch-0.jsonl.gz"))
    file.write_bytes(file.read_bytes()[:500])
    code, said = run(capsys, "verify", tmp_path / "out")
    assert code == 1 and "features/batch-0.jsonl.gz" in said and "cannot be read" in said
    assert main(["neuronpedia", "show", str(tmp_path / "out")]) == 2
    rows = [{"index": 3, "pos_str": 7, "freq_hist_data_bar_heights": "many", "topkCosSimIndices": {}}, {"index": []}]
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert run(capsys, "show", tmp_path / "out")[0] == run(capsys, "show", tmp_path / "out", 3)[0] == 0


def test_kept_labels_are_shown_beside_what_was_offered(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "export", "tiny-l0@texts", "--to", tmp_path / "out", "--last", 9, "--workspace", place)
    catalog = Catalog(Workspace(place).catalog_url)
    own = Workspace(place).sae("tiny-l0").metadata["fingerprints"]["sae"]
    put_label(catalog, "tiny-l0", own, 5, "commas", "", "Mary", 1)
    catalog.close()
    code, said = run(capsys, "import", tmp_path / "out", "--sae", "tiny-l0", "--yes", "--workspace", place)
    assert code == 0 and "commas" in said and "Mary" in said and "quotes" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "."), "Name the SAE"),
        (("verify", "nowhere"), "There is no bundle at"),
        (("show", ".", "--limit", "-1"), "A limit of -1"),
        (("export", "tiny-l0@texts", "--to", "x", "--workspace", "nowhere"), "There is no workspace"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["neuronpedia", *words]) == 2
    assert said in capsys.readouterr().err


def test_every_option_is_described() -> None:
    for verb, parser in verbs().items():
        section = PAGE.split(f"## `loupe neuronpedia {verb}`")[1].split("\n## ")[0]
        options = {word for action in parser._actions for word in action.option_strings if word.startswith("--")}
        for option in options - {"--help", "--workspace", "--json"}:
            assert option in section, f"{option} of {verb}"
