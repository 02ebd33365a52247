"""`loupe labels` on the command line, and its page."""

import argparse
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from catalog.catalog import Catalog
from catalog.labels import Label, labels_of, put_label
from loaders.workspace import Workspace
from loupe import labels
from loupe.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "labels.md").read_text()


@pytest.fixture
def place(workspace: Workspace, tmp_path: Path) -> Path:
    """A workspace of its own with one SAE and no catalog yet."""
    shutil.copytree(workspace.root / "saes/tiny-l0", tmp_path / "w" / "saes/tiny-l0")
    return tmp_path / "w"


@pytest.fixture
def own(workspace: Workspace) -> str:
    return str(workspace.sae("tiny-l0").metadata["fingerprints"]["sae"])


def saved(place: Path, own: str) -> dict[int, Label]:
    catalog = Catalog(Workspace(place).catalog_url)
    try:
        return labels_of(catalog, own)
    finally:
        catalog.close()


def save(place: Path, own: str, feature: int, name: str, replaces: int | None = None) -> None:
    catalog = Catalog(Workspace(place).catalog_url)
    put_label(catalog, "tiny-l0", own, feature, name, "", "Bob", replaces)
    catalog.close()


def run(capsys: pytest.CaptureFixture[str], place: Path, *words: object) -> tuple[int, str, str]:
    code = main(["labels", *map(str, words), "--workspace", str(place)])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def write(place: Path, text: str, name: str = "labels.csv") -> Path:
    (place / name).write_text(text, encoding="utf-8")
    return place / name


def test_an_import_shows_first_and_saves_only_when_it_is_told_to(
    place: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(place, "feature,name,notes,author\n3,trees,nodes,Ada\n5,graphs,,\n")
    code, said, _ = run(capsys, place, "import", "tiny-l0", file)
    assert code == 0
    assert "+ feature 3, by Ada\n    name: 'trees'\n    notes: 'nodes'\n" in said
    assert "2 added, 0 changed, 0 unchanged, 0 conflicts. Nothing was saved: add --apply" in said
    assert not (place / "catalog.sqlite").exists(), "looking makes no catalog"
    code, said, _ = run(capsys, place, "import", "tiny-l0", file, "--apply")
    assert code == 0 and "2 versions were saved." in said
    assert {feature: label.name for feature, label in saved(place, own).items()} == {3: "trees", 5: "graphs"}
    code, said, _ = run(capsys, place, "import", "tiny-l0", file, "--apply")
    assert "0 added, 0 changed, 2 unchanged, 0 conflicts. 0 versions were saved." in said


def test_every_problem_of_a_file_is_printed_and_nothing_is_saved(
    place: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(place, "feature,name\n3,trees\n3,graphs\n999,x\n")
    code, said, wrong = run(capsys, place, "import", "tiny-l0", file, "--apply")
    assert (code, said) == (2, "")
    assert wrong.splitlines() == [
        "labels.csv, line 3: feature 3 is there twice: it stands in line 2 already",
        "labels.csv, line 4: feature 999 does not exist: the SAE has features 0 to 127",
        "loupe: 2 problems in 'labels.csv': nothing was imported, correct them and try again.",
    ]
    code, said, wrong = run(capsys, place, "import", "tiny-l0", file, "--json")
    assert (code, wrong) == (2, "")
    report = json.loads(said)
    assert [each["line"] for each in report["problems"]] == [3, 4] and report["problem_count"] == 2
    assert not (place / "catalog.sqlite").exists()


@pytest.mark.parametrize("name", ["labels.json", "labels.yaml", "labels.csv", "labels.json.gz", "labels.jsonl.gz"])
def test_labels_go_out_are_edited_and_come_back(
    place: Path, own: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(place, own, 3, "trees")
    save(place, own, 5, "=graphs")
    file = place / name
    code, said, _ = run(capsys, place, "export", "tiny-l0", file)
    assert code == 0 and "2 labels of SAE tiny-l0" in said
    text = gzip.decompress(file.read_bytes()).decode() if name.endswith(".gz") else file.read_text()
    edited = text.replace("trees", "forests").encode()
    file.write_bytes(gzip.compress(edited) if name.endswith(".gz") else edited)
    report = json.loads(run(capsys, place, "import", "tiny-l0", file, "--apply", "--json")[1])
    assert [(each["feature"], each["fields"], each["old"]["name"]) for each in report["changed"]] == [
        (3, ["name"], "trees")
    ]
    assert (report["unchanged"], report["saved"]) == (1, 1)
    assert {feature: label.name for feature, label in saved(place, own).items()} == {3: "forests", 5: "=graphs"}


def test_what_others_changed_since_is_a_conflict_that_someone_decides(
    place: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(place, own, 3, "trees")
    file = place / "labels.json"
    run(capsys, place, "export", "tiny-l0", file)
    save(place, own, 3, "theirs", 1)
    write(place, file.read_text().replace("trees", "mine"), "labels.json")
    code, said, wrong = run(capsys, place, "import", "tiny-l0", file, "--apply")
    assert code == 2 and "! feature 3" in said and "Bob saved version 2 since" in said
    assert "Add --conflicts keep to leave theirs, or --conflicts replace" in wrong
    assert run(capsys, place, "import", "tiny-l0", file, "--apply", "--conflicts", "keep")[0] == 0
    assert saved(place, own)[3].name == "theirs"
    assert run(capsys, place, "import", "tiny-l0", file, "--apply", "--conflicts", "replace", "--author", "Eve")[0] == 0
    assert (saved(place, own)[3].name, saved(place, own)[3].author) == ("mine", "Eve")


def test_changes_that_are_not_those_shown_before_are_not_saved(
    place: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(place, "feature,name\n3,mine\n")
    shown = json.loads(run(capsys, place, "import", "tiny-l0", file, "--json")[1])["digest"]
    save(place, own, 3, "theirs")
    code, _, wrong = run(capsys, place, "import", "tiny-l0", file, "--apply", "--expect", shown)
    assert code == 2 and f"These are not the changes {shown} that were shown before" in wrong
    assert saved(place, own)[3].name == "theirs"
    shown = json.loads(run(capsys, place, "import", "tiny-l0", file, "--json")[1])["digest"]
    assert run(capsys, place, "import", "tiny-l0", file, "--apply", "--expect", shown)[0] == 0
    assert saved(place, own)[3].name == "mine"


@pytest.fixture
def retrained(place: Path) -> list[int]:
    """Another SAE, `again`, with the features of tiny-l0 in another order: its feature i is that one's [i]."""
    shutil.copytree(place / "saes/tiny-l0", place / "saes/again")
    weights = place / "saes/again/sae_weights.safetensors"
    tensors = load_file(weights)
    order = np.random.default_rng(0).permutation(128)
    tensors["W_dec"] = np.ascontiguousarray(tensors["W_dec"][order])
    save_file(tensors, weights)
    cfg = json.loads((place / "saes/again/cfg.json").read_text())
    cfg["metadata"]["fingerprints"]["sae"] = "0123456789abcdef"
    (place / "saes/again/cfg.json").write_text(json.dumps(cfg))
    return order.tolist()


def test_labels_are_carried_over_to_matched_features_and_marked(
    place: Path, own: str, retrained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    for feature in (3, 5, 9):
        save(place, own, feature, f"label {feature}")
    heirs = {feature: retrained.index(feature) for feature in (3, 5, 9)}
    save(place, "0123456789abcdef", heirs[9], "its own")
    code, said, _ = run(capsys, place, "carry", "tiny-l0", "again")
    assert code == 0
    assert f"+ 3 -> {heirs[3]} (decoder 1.00): 'label 3', by Bob" in said
    assert f"= 9 -> {heirs[9]} (decoder 1.00) keeps 'its own', by Bob" in said
    assert "2 inherit, 0 say so already, 1 keep their own, 0 have no heir. Nothing was saved: add --apply." in said
    assert set(saved(place, "0123456789abcdef")) == {heirs[9]}
    report = json.loads(run(capsys, place, "carry", "tiny-l0", "again", "--apply", "--json")[1])
    assert (report["saved"], report["matched_by"]) == (2, ["decoder"])
    labels = saved(place, "0123456789abcdef")
    assert {heir: label.name for heir, label in labels.items()} == {
        heirs[3]: "label 3", heirs[5]: "label 5", heirs[9]: "its own"
    }  # fmt: skip
    origin = labels[heirs[3]].origin
    assert (origin.kind, origin.sae, origin.feature) == ("inherited", own, 3)
    assert origin.score == pytest.approx(1) and origin.detail == "feature 3 of tiny-l0 by decoder cosine 1.000"
    again = json.loads(run(capsys, place, "carry", "tiny-l0", "again", "--apply", "--json")[1])
    assert (again["saved"], again["same"], len(again["kept"])) == (0, 2, 1)


def test_a_label_that_somebody_removed_does_not_come_back_by_inheritance(
    place: Path, own: str, retrained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    save(place, own, 3, "trees")
    heir = retrained.index(3)
    save(place, "0123456789abcdef", heir, "wrong")
    save(place, "0123456789abcdef", heir, "", 1)
    code, said, _ = run(capsys, place, "carry", "tiny-l0", "again", "--apply")
    assert code == 0 and "keeps that it has none, by Bob" in said
    assert saved(place, "0123456789abcdef") == {}


def test_features_without_a_like_one_have_no_heir(
    place: Path, own: str, retrained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    weights = place / "saes/again/sae_weights.safetensors"
    tensors = load_file(weights)
    tensors["W_dec"] = np.random.default_rng(1).normal(size=(128, 32)).astype(np.float32)
    save_file(tensors, weights)
    save(place, own, 3, "trees")
    report = json.loads(run(capsys, place, "carry", "tiny-l0", "again", "--least", "0.95", "--apply", "--json")[1])
    assert (report["carried"], report["saved"]) == ([], 0)
    assert report["unmatched"][0]["reason"].startswith("by decoder its nearest is 0.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["import", "tiny-l0", "nowhere.csv"], "There is no file 'nowhere.csv' to import."),
        (["import", "nobody", "x.csv"], "There is no finished SAE"),
        (["export", "tiny-l0", "{place}/labels.csv"], "exists already. Choose another name, or add --force"),
        (["carry", "tiny-l0", "tiny-l0"], "SAE 'tiny-l0' cannot inherit from itself"),
        (["carry", "tiny-l0", "again", "--least", "1.5"], "must be above 0 and up to 1: found 1.5"),
        (["carry", "tiny-l0", "again", "--by", "activations"], "no dataset has a store of both"),
        (["export", "tiny-l0", "{place}/no/labels.csv"], "No such file or directory"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    place: Path, retrained: list[int], words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, "")
    code, _, wrong = run(capsys, place, *(word.format(place=place) for word in words))
    assert code == 2 and sentence in wrong and wrong.count("\n") == 1


def test_every_verb_and_option_is_on_the_page() -> None:
    made = argparse.ArgumentParser()
    top = made.add_subparsers()
    labels.add_verbs(top)
    (own,) = (action for action in top.choices["labels"]._actions if action.choices)
    for name, verb in dict(own.choices or {}).items():  # type: ignore[arg-type]
        assert f"loupe labels {name}" in PAGE
        for action in verb._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"`{option}" in PAGE, f"{option} of {name}"


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def test_every_key_of_a_report_is_on_the_page(
    place: Path, own: str, retrained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(place, "feature,name\n3,trees\n")
    found = keys(json.loads(run(capsys, place, "import", "tiny-l0", file, "--json")[1]))
    found |= keys(json.loads(run(capsys, place, "export", "tiny-l0", place / "out.json", "--json")[1]))
    save(place, own, 3, "trees")
    found |= keys(json.loads(run(capsys, place, "carry", "tiny-l0", "again", "--json")[1]))
    save(place, "0123456789abcdef", retrained.index(3), "its own")
    found |= keys(json.loads(run(capsys, place, "carry", "tiny-l0", "again", "--json")[1]))
    write(place, "feature,name\n999,trees\n")
    found |= keys(json.loads(run(capsys, place, "import", "tiny-l0", file, "--json")[1]))
    assert {key for key in found if f"`{key}`" not in PAGE} == set()
