"""JSON and YAML are read as the usual readers do, with the line of every value; what is no plain data is refused."""

import json
import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.dictionary.json_nodes import parse_json
from catalog.dictionary.node import Node
from catalog.dictionary.problems import Unreadable
from catalog.dictionary.yaml_nodes import parse_yaml

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
data = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
json_like = st.text(st.sampled_from('{}[]",:\\/ \n\t0123456789.eE+-truefalsn\u00e9'), max_size=40)


@settings(max_examples=100, deadline=None)
@given(data, st.sampled_from([None, 1]), st.booleans())
def test_json_has_the_values_of_the_standard_reader(value: object, indent: int | None, is_plain: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_plain)
    assert parse_json(text).plain() == json.loads(text)


@settings(max_examples=200, deadline=None)
@given(json_like)
def test_json_is_refused_exactly_where_the_standard_reader_refuses_it(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(Unreadable):
            parse_json(text)
    else:
        assert parse_json(text).plain() == wanted


def lines_of(node: Node) -> list[tuple[object, int]]:
    """Every text with its line."""
    if node.kind == "object":
        return [each for key, value in node.value for each in (*lines_of(key), *lines_of(value))]
    return (
        [each for item in node.value for each in lines_of(item)] if node.kind == "list" else [(node.value, node.line)]
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_every_value_knows_its_line(parse: object, end: str) -> None:
    text = end.join(['{"a":', ' "b",', "", '"c": ["\u00e9\U0001f600\u2028", "d",', '"e"', "]}"])
    found = lines_of(parse(text))  # type: ignore[operator]
    assert [(value, line) for value, line in found if value != "\u00e9\U0001f600\u2028"] == [
        ("a", 1), ("b", 2), ("c", 4), ("d", 4), ("e", 5)
    ]  # fmt: skip


def test_a_block_of_yaml_counts_its_lines() -> None:
    text = "# labels\nlabels:\n  3:\n    notes: |\n      one\n\n      two\n    name: trees\n"
    assert lines_of(parse_yaml(text)) == [
        ("labels", 2), (3, 3), ("notes", 4), ("one\n\ntwo\n", 4), ("name", 8), ("trees", 8)
    ]  # fmt: skip


def test_words_of_yaml_are_texts_unless_they_are_numbers_or_truth_values() -> None:
    text = "[no, yes, off, 2024-05-01, 12:30, 0x1F, 0o7, true, null, ~, 7, -1.5, 1e3, .5, '7', \"true\"]"
    assert parse_yaml(text).plain() == [
        "no", "yes", "off", "2024-05-01", "12:30", "0x1F", "0o7", True, None, None, 7, -1.5, 1000.0, 0.5, "7", "true"
    ]  # fmt: skip


texts = st.recursive(
    st.text(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@settings(max_examples=80, deadline=None)
@given(texts, st.booleans(), st.sampled_from(['"', "'"]))
def test_yaml_has_the_texts_of_the_usual_reader(value: object, is_plain: bool, style: str) -> None:
    text = yaml.safe_dump(value, default_style=style, allow_unicode=is_plain)
    assert parse_yaml(text).plain() == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: &x [1]\n", 2, "anchor &x"),
        ("a: &x [1]\nb: *x\n", 1, "anchor &x"),
        ("a: 1\nb: *x\n", 2, "alias *x"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!str 7\n", 1, "tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: 'b\n", 2, "not valid YAML"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("\n\na: " + "[" * 100_000, 3, "deeper than 16"),
    ],
)
def test_yaml_that_is_not_plain_data_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Unreadable, match=words.replace("+", r"\+").replace("*", r"\*")) as caught:
        parse_yaml(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a": 1,\n}', 2, "a key in double quotes"),
        ('{"a": 1\n"b": 2}', 2, "',' or '}'"),
        ('{"a"\n 1}', 2, "':' was wanted after the key 'a'"),
        ('["a",\n "b\n"]', 2, "no closing quote"),
        ('["a",\n "b\x01"]', 2, "control character"),
        ('["a",\n "\\x"]', 2, "escape"),
        ("[1,\n\n", 3, "ends where a value"),
        ("[1]\n\n[2]", 3, "more follows"),
        ("[1,\nNaN]", 2, "found 'NaN]'"),
        ("\n" + "[" * 100_000, 2, "deeper than 16"),
        ("[\n" + "9" * 1000 + "]", 2, "more than 400 digits"),
    ],
)
def test_json_that_is_none_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_json(text)
    assert words in str(caught.value)
    assert caught.value.line == line


def test_a_number_beyond_every_float_is_no_finite_number() -> None:
    assert math.isinf(parse_json("1e999").value)
