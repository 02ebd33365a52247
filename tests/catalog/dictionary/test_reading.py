"""Every format is recognised by its content; every planted error is named with its line, and nothing comes out then."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.dictionary.entry import Dictionary, Entry
from catalog.dictionary.neuronpedia import Place
from catalog.dictionary.problems import MOST, FileRefused
from catalog.dictionary.reading import FORMATS, read_dictionary
from catalog.dictionary.writing import WRITERS, to_explanations
from loaders.errors import BadInput
from tests.catalog.dictionary.examples import (
    CONCEPTS,
    CONSOLIDATED,
    CSV,
    FILES,
    JSON,
    OLD_CONCEPTS,
    OTHERS,
    ROWS,
    SPLAT,
)
from tests.catalog.dictionary.strategies import SOURCE


def read(text: str | bytes, **named: Any) -> Dictionary:
    return read_dictionary(text if isinstance(text, bytes) else text.encode(), "labels.file", 64, **named)


def refusal(text: str | bytes, **named: Any) -> list[tuple[int, str]]:
    """Line and words of every problem."""
    with pytest.raises(FileRefused) as caught:
        read(text, **named)
    assert all(each.file == "labels.file" for each in caught.value.problems)
    assert "Nothing was imported" in str(caught.value) and "\n" not in str(caught.value)
    return [(each.line, each.problem) for each in caught.value.problems]


def test_every_format_has_an_example_here() -> None:
    assert set(FILES) == set(FORMATS)


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [(kind, *file) for kind, file in FILES.items()] + OTHERS,
    ids=lambda each: str(each)[:12],
)
def test_a_format_is_recognised_by_its_content_and_can_be_forced(kind: str, text: str, values: dict[str, Any]) -> None:
    found = read(text)
    assert found.format == kind
    assert found.entries[3].values == values
    assert found == read(text, kind=kind)
    assert found == read(b"\xef\xbb\xbf" + text.encode()), "with a byte order mark"
    assert found == read(gzip.compress(text.encode())), "gzipped"


def test_what_else_a_file_says_is_kept() -> None:
    found = read(SPLAT)
    assert found.entries[3].created_at is not None
    assert found.entries[3].created_at.isoformat() == "2025-06-01T10:00:00.500000+00:00"
    assert found.remarks == ("1 labels say nothing and were passed over",)
    assert read(CONSOLIDATED).entries[3].author == "merged"
    assert read(OLD_CONCEPTS).remarks == ("1 concepts of lower score than another of the same feature were left out",)
    assert read(ROWS).entries[3].author == "neuronpedia"


def test_scores_beyond_shares_are_no_confidence_and_that_is_said() -> None:
    found = read(CONCEPTS.replace("0.25", "12.5"))
    assert [found.entries[at].values for at in (3, 4)] == [{"name": "trees"}, {"name": "graphs"}]
    assert found.remarks == ("scores do not all lie from 0 to 1, so they are not taken as confidence",)


def test_the_newest_explanation_is_the_label_and_the_others_are_older_versions() -> None:
    rows = [{"index": "3", "description": text, "createdAt": at} for text, at in
            [("new", "2026-02-01T00:00:00.000Z"), ("old", "2026-01-01T00:00:00.000Z")]]  # fmt: skip
    found = read("\n".join(map(json.dumps, rows))).entries[3]
    assert found.values["name"] == "new"
    assert [each.values["name"] for each in found.earlier] == ["old"]


def change(kind: str, old: str, new: str) -> str:
    text = FILES[kind][0]
    assert text.count(old) == 1, old
    return text.replace(old, new)


PLANTED = [
    ("json", '"4": {', '"3": {', 11, "feature 3 is there twice: it stands in line 5"),
    ("json", '"4": {', '"03": {', 11, "feature 3 is there twice"),
    ("json", '"4": {', '"64": {', 11, "feature 64 does not exist: the SAE has features 0 to 63"),
    ("json", '"4": {', '"-1": {', 11, "a feature's number was wanted, found the text '-1'"),
    ("json", '"4": {', '"x": {', 11, "a feature's number was wanted, found the text 'x'"),
    ("json", '"trees"', "7", 6, "name must be a text: found the number 7; put it in quotes"),
    ("json", '"trees"', '["trees"]', 6, "name must be a text: found a list"),
    ("json", '"trees"', '"a\\u0007b"', 6, "name may not hold control characters: found U+0007"),
    ("json", '"trees"', '"a\\ud800b"', 6, "name may not hold control characters: found U+D800"),
    ("json", '"trees"', f'"{"x" * 201}"', 6, "name may have at most 200 characters: found 201"),
    ("json", '"nodes"', f'"{"x" * 10_001}"', 8, "notes may have at most 10,000 characters: found 10,001"),
    ("json", '"nodes"', '"a\\u0000"', 8, "notes may not hold control characters: found U+0000"),
    ("json", '"tactical"', "7", 7, "category must be a text: found the number 7"),
    ("json", '"tactical"', f'"{"x" * 61}"', 7, "category may have at most 60 characters: found 61"),
    ("json", '{"name": "graphs"}', '{"name": "g", "evidence": "here"}', 11, "evidence must be a place such as"),
    ("json", "0.5", "1.5", 9, "confidence must be a number from 0 to 1: found the number 1.5"),
    ("json", "0.5", '"high"', 9, "confidence must be a number from 0 to 1: found the text 'high'"),
    ("json", "0.5", "true", 9, "confidence must be a number from 0 to 1: found a truth value"),
    ("json", "0.5", "1e999", 9, "confidence must be a number from 0 to 1"),
    ("json", '"notes"', '"note"', 8, "a label has no field 'note': did you mean 'notes'?"),
    ("json", '"notes"', '"name"', 8, "the field 'name' is there twice"),
    ("json", '{"name": "graphs"}', '"graphs"', 11, "a label must be an object with a name: found the text 'graphs'"),
    ("json", '{"name": "graphs"}', "{}", 11, "the label has no name"),
    ("json", '{"name": "graphs"}', '{"name": "", "notes": "a"}', 11, "the label has notes but no name"),
    ("json", '"format": 1', '"format": 2', 3, "format must be 1: found the number 2"),
    ("json", '"labels": {', '"label": {', 4, "a dictionary has no field 'label': did you mean 'labels'?"),
    ("json", "0.5\n", "0.5,\n", 10, "is not valid JSON: a key in double quotes was wanted"),
    ("json", '{"name": "graphs"}', '{"name": "graphs", "version": 0}', 11, "version must be a whole number from 1"),
    ("json", '{"name": "graphs"}', '{"name": "g", "created_at": "May"}', 11, "created_at must be a time such as"),
    ("json", '{"name": "graphs"}', '{"name": "g", "history": [{}]}', 11, "the label has no name"),
    ("json", '{"name": "graphs"}', '{"name": "g", "history": 7}', 11, "history must be a list"),
    ("yaml", "  4:", "  3:", 9, "feature 3 is there twice: it stands in line 4"),
    ("yaml", "  4:", "  99:", 9, "feature 99 does not exist"),
    ("yaml", "trees", "2024", 5, "name must be a text: found the number 2024; put it in quotes"),
    ("yaml", "trees", '"\\x07"', 5, "name may not hold control characters: found U+0007"),
    ("yaml", "0.5", "high", 8, "confidence must be a number from 0 to 1: found the text 'high'"),
    ("yaml", "tactical", "[a]", 6, "category must be a text: found a list"),
    ("yaml", "nodes", "[nodes", 8, "is not valid YAML"),
    ("yaml", "{name: graphs}", "&x {name: graphs}", 9, "holds the anchor &x"),
    ("yaml", "trees", "!!python/name:os.system trees", 5, "holds the tag"),
    ("csv", "4,graphs,,,", "3,graphs,,,", 3, "feature 3 is there twice: it stands in line 2"),
    ("csv", "4,graphs,,,", "64,graphs,,,", 3, "feature 64 does not exist"),
    ("csv", "4,graphs,,,", "4.0,graphs,,,", 3, "a feature's number was wanted, found the text '4.0'"),
    ("csv", "4,graphs,,,", "4,graphs,,", 3, "the row has 4 cells, the header 5"),
    ("csv", "4,graphs,,,", "4,graphs,a\x07,,", 3, "category may not hold control characters: found U+0007"),
    ("csv", "4,graphs,,,", '4,graphs,,"a\n\x07",', 3, "notes may not hold control characters: found U+0007"),
    ("csv", "4,graphs,,,", "4,,,,0.5", 3, "the label has confidence but no name"),
    ("csv", ",0.5", ",50%", 2, "confidence must be a number from 0 to 1: found the text '50%'"),
    ("csv", "trees", '"trees', 2, "is not valid CSV"),
    ("csv", "feature,", "features,", 1, "is none of the known formats"),
    ("csv", ",confidence", ",certainty", 1, "the column 'certainty' is unknown"),
    ("csv", ",confidence", ",notes", 1, "the column 'notes' is there twice"),
    ("neuronpedia", '"index": 4', '"index": 64', 2, "feature 64 does not exist"),
    ("neuronpedia", '"index": 4', '"indices": 4', 2, 'an explanation is an object with an "index"'),
    ("neuronpedia", '"graphs"', '" "', 2, "description says nothing"),
    ("neuronpedia", '"graphs"', "7", 2, "description says nothing"),
    ("neuronpedia", 'null}', 'null', 2, "is not valid JSON"),
    ("neuronpedia", '"1-a", "index": 4', '"2-a", "index": 4', 2, "which is another source"),
    ("mi-crow", '"4": {', '"3": {', 3, "feature 3 is there twice"),
    ("mi-crow", '"4": {', '"64": {', 3, "feature 64 does not exist"),
    ("mi-crow", "0.25", '"low"', 3, "score must be a number: found the text 'low'"),
    ("mi-crow", '"graphs"', "[]", 3, "name must be a text: found a list"),
    ("mi-crow", '"n_size": 64', '"n_size": 128', 0, "it is of an SAE with 128 features, this one has 64"),
    ("mi-crow-csv", "4,graphs", "x,graphs", 4, "a feature's number was wanted"),
    ("mi-crow-csv", "0.25", "low", 4, "score must be a number"),
    ("mi-crow-csv", "shrubs,0.1", "shrubs,0.5", 3, "feature 3 has two concepts of the same score"),
    ("splatnlp", '"4": {', '"3": {', 3, "feature 3 is there twice"),
    ("splatnlp", '"tactical"', '"fun"', 2, "category must be one of none, mechanical, tactical, strategic: found the text 'fun'"),
    ("splatnlp", "2025-06-01T", "yesterday", 2, "timestamp must be a time"),
    ("splatnlp-csv", "4,graphs", "99,graphs", 3, "feature 99 does not exist"),
    ("splatnlp-csv", "0.5", "-0.5", 2, "confidence must be a number from 0 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new", "line", "words"), PLANTED)
def test_a_planted_error_is_named_with_its_line(kind: str, old: str, new: str, line: int, words: str) -> None:
    found = refusal(change(kind, old, new))
    assert any(at == line and words in problem for at, problem in found), found


def test_all_errors_are_named_at_once_by_line() -> None:
    text = JSON.replace('"trees"', "7").replace("0.5", "1.5").replace('"4"', '"64"').replace('"tactical"', "7")
    assert [line for line, _ in refusal(text)] == [6, 7, 9, 11]


def test_beyond_a_number_of_errors_the_rest_is_counted() -> None:
    rows = "".join(f"{at + 64},trees\n" for at in range(5_000))
    with pytest.raises(FileRefused, match=r"line 2: feature 64 does not exist.*\(and 4,999 more\)") as caught:
        read("feature,name\n" + rows)
    assert (len(caught.value.problems), caught.value.count) == (MOST, 5_000)


def test_rows_of_a_csv_are_counted_by_the_lines_that_they_take() -> None:
    text = 'feature,name,notes\r\n1,trees,"a\r\nb\r\n\r\nc"\r\n\r\n64,graphs,\r\n'
    assert refusal(text)[0][0] == 7
    assert read(text.replace("64,", "2,")).entries[1].values["notes"] == "a\nb\n\nc"


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 0, "is empty"),
        (b" \n\t", 0, "is empty"),
        (CSV.encode() + "5,caf\u00e9,,,\n".encode("latin-1"), 4, "holds the byte 0xE9, which is not UTF-8"),
        (CSV.encode("utf-16"), 1, "is UTF-16; save it as UTF-8"),
        (gzip.compress(JSON.encode())[:-9], 0, "is cut off: its gzip stream does not end"),
        (gzip.compress(JSON.encode())[:20], 0, "is cut off"),
        (gzip.compress(JSON.encode()) + b"x", 0, "has something else behind its gzipped part"),
        (b"\x1f\x8bnothing", 0, "is not valid gzip"),
        (gzip.compress(bytes(65 << 20), 9), 0, "is larger than 64 MiB when unpacked"),
        (b"a,b\n1,2\n", 1, "is none of the known formats"),
        (b"hello", 1, "is none of the known formats"),
        (b'{"a": 1}', 1, "is JSON, but none of the known formats"),
        (b"[1, 2]", 1, "is JSON, but none of the known formats"),
        (b"a: &a [x]\nloupe: labels\nb: [*a, *a]\n", 1, "holds the anchor &a"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_dictionary_is_refused_in_words(data: bytes, line: int, words: str) -> None:
    found = refusal(data)
    assert len(found) == 1 and found[0][0] == line and words in found[0][1], found


def test_a_file_that_says_that_it_is_of_another_sae_is_refused() -> None:
    for write in WRITERS.values():
        data = write([Entry(3, {"name": "trees"})], SOURCE)
        assert read(data, fingerprint="f00d").entries
        assert "its labels are of SAE 'minilm-l1' with fingerprint f00d, this one has beef" in refusal(
            data, fingerprint="beef"
        )[0][1]  # fmt: skip
    with pytest.raises(FileRefused, match="it is of an SAE with 64 features, this one has 128"):
        read_dictionary(WRITERS["json"]([], SOURCE), "labels.json", 128)


def test_a_csv_of_two_saes_is_refused() -> None:
    text = "feature,name,sae\n1,trees,a\n2,graphs,b\n"
    assert refusal(text) == [(3, "the row is of another SAE (b) than those above")]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(BadInput, match="The format 'xml' is unknown: choose one of json, yaml, csv"):
        read(JSON, kind="xml")


WHOLE = [text.encode() for text, _ in FILES.values()] + [
    gzip.compress(to_explanations([Entry(3, {"name": "trees"})], SOURCE, Place("m", "1-a", "x")))
]
KINDS = st.none() | st.sampled_from(sorted(FORMATS))


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=4)), max_size=5), KINDS)
def test_a_damaged_file_is_read_or_refused_in_words(
    whole: bytes, damage: list[tuple[int, bytes]], kind: str | None
) -> None:
    data = bytearray(whole)
    for at, what in damage:
        at %= len(data) + 1
        data[at : at + len(what)] = what
    answers_in_words(bytes(data), kind)


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from("{}[]\":,\n 0123abc&*!|->?'%@`\\#\t"), max_size=60).map(str.encode),
    KINDS,
)
def test_anything_at_all_is_read_or_refused_in_words(data: bytes, kind: str | None) -> None:
    answers_in_words(data, kind)


def answers_in_words(data: bytes, kind: str | None) -> None:
    try:
        found = read_dictionary(data, "labels", 64, kind=kind)
    except FileRefused as refused:
        problems = refused.problems
        lines = data.count(b"\n") + data.count(b"\r") + 1
    else:
        assert all(0 <= feature < 64 and entry.values["name"] for feature, entry in found.entries.items())
        return
    assert problems
    assert data[:2] == b"\x1f\x8b" or all(0 <= each.line <= lines for each in problems)
