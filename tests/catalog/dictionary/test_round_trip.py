"""What is written in a format is read back the same, whatever people write into labels."""

import csv
import io
import json

import pytest
import yaml
from hypothesis import given, settings

from catalog.dictionary.entry import Entry, Source
from catalog.dictionary.neuronpedia import Place
from catalog.dictionary.reading import read_dictionary
from catalog.dictionary.writing import WRITERS, pack, to_csv, to_explanations, to_json, to_yaml
from tests.catalog.dictionary.strategies import FEATURES, SOURCE, entries, without_lines

PLACE = Place("gpt2-small", "3-res-jb", "nobody")


@pytest.mark.parametrize("kind", list(WRITERS))
@settings(max_examples=60, deadline=None)
@given(made=entries())
def test_every_label_comes_back_as_it_went_out(kind: str, made: list[Entry]) -> None:
    found = read_dictionary(WRITERS[kind](made, SOURCE), "labels", FEATURES, "f00d")
    assert found.format == kind
    assert found.remarks == ()
    assert {feature: without_lines(entry) for feature, entry in found.entries.items()} == {
        entry.feature_id: entry for entry in made
    }
    if made:
        assert (found.source.sae_id, found.source.fingerprint) == ("minilm-l1", "f00d")


@settings(max_examples=40, deadline=None)
@given(made=entries())
def test_explanations_come_back_with_name_and_notes(made: list[Entry]) -> None:
    packed = pack(to_explanations(made, SOURCE, PLACE))
    found = read_dictionary(packed, "batch-0.jsonl.gz", FEATURES, kind="neuronpedia").entries
    texts = {feature: {entry.values["name"] for entry in (*each.earlier, each)} for feature, each in found.items()}
    assert texts == {
        entry.feature_id: {" ".join(each.values["name"].split()) for each in (*entry.earlier, entry)} for entry in made
    }


@settings(max_examples=40, deadline=None)
@given(made=entries())
def test_other_tools_read_what_was_written(made: list[Entry]) -> None:
    by_json = json.loads(to_json(made, SOURCE))
    assert by_json == yaml.safe_load(to_yaml(made, SOURCE)), "the same document in both"
    assert [label["name"] for label in by_json["labels"].values()] == [entry.values["name"] for entry in made]
    rows = list(csv.DictReader(io.StringIO(to_csv(made, SOURCE).decode(), newline="")))
    assert [int(row["feature"]) for row in rows if not row["is_old"]] == [entry.feature_id for entry in made]


@settings(max_examples=40, deadline=None)
@given(made=entries())
def test_no_cell_of_a_csv_is_a_formula(made: list[Entry]) -> None:
    for row in csv.reader(io.StringIO(to_csv(made, SOURCE).decode(), newline="")):
        for cell in row:
            assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell
            assert not cell.startswith(("\t", "\r", "\n")), cell


def test_an_apostrophe_before_a_formula_is_taken_off_once() -> None:
    made = [Entry(at, {"name": name}) for at, name in enumerate(["=1+1", "'=1+1", "''=1+1", "'tis", "a=b", "- x"])]
    text = to_csv(made, Source()).decode()
    assert "'=1+1" in text and "''=1+1" in text and "'''=1+1" in text and "'- x" in text
    assert "\n3,'tis," in text and "\n4,a=b," in text
    found = read_dictionary(text.encode(), "labels.csv", 8).entries
    assert [found[at].values["name"] for at in range(6)] == [entry.values["name"] for entry in made]


def test_equal_labels_give_equal_bytes() -> None:
    made = [Entry(3, {"name": "trees", "notes": "a\nb"})]
    for write in WRITERS.values():
        assert write(made, SOURCE) == write(list(made), SOURCE)
    assert pack(b"x") == pack(b"x")


def test_a_yaml_file_is_pleasant_to_read_and_edit() -> None:
    values = {"name": "trees", "category": "none", "notes": "nodes of trees\nand graphs", "confidence": 0.5}
    text = to_yaml([Entry(3, values, author="ada", version=2)], SOURCE).decode()
    assert text.splitlines() == [
        'loupe: "labels"',
        "format: 1",
        'sae: "minilm-l1"',
        'fingerprint: "f00d"',
        "features: 64",
        "labels:",
        '  "3":',
        '    name: "trees"',
        '    category: "none"',
        "    notes: |-",
        "      nodes of trees",
        "      and graphs",
        "    confidence: 0.5",
        '    author: "ada"',
        "    version: 2",
    ]
