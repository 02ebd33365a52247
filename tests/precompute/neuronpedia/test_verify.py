"""A sound bundle passes; whatever is damaged in it is named with its file, its line and what is wrong."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.neuronpedia.files import Bundle
from precompute.neuronpedia.verify import verify
from precompute.progress import Progress
from tests.precompute.neuronpedia.conftest import Shop, as_foreign, change_rows, read_rows, write_bundle

Rows = list[dict[str, Any]]
Damage = Callable[[Rows], object]


def check(bundle: Path, shop: Shop | None = None) -> list[tuple[str, int, str]]:
    """Problems as (file, line, words)."""
    workspace, store = shop or (None, None)
    report = verify(Bundle.open(bundle), workspace, store, None, Progress())
    return [(each["file"], each["line"], each["problem"]) for each in report["problems"]]


def put(line: int, **fields: Any) -> Damage:
    return lambda rows: rows[line - 1].update(fields)


def swap(name: str, first: int = 0, second: int = 1, line: int = 4) -> Damage:
    """Exchange two entries of a list of one row."""

    def change(rows: Rows) -> None:
        entries = rows[line - 1][name]
        entries[first], entries[second] = entries[second], entries[first]

    return change


def add(name: str, place: int, amount: float, line: int = 4) -> Damage:
    """Add to one entry of a list of one row."""

    def change(rows: Rows) -> None:
        rows[line - 1][name][place] += amount

    return change


def nudge_maximum(rows: Rows) -> None:
    """A larger activation, noted as the maximum everywhere in its own row."""
    rows[0]["values"][rows[0]["maxValueTokenIndex"]] += 0.5
    rows[0]["maxValue"] += 0.5


def move_a_count(rows: Rows) -> None:
    """One activation counted five bars away: the sum stays what it was."""
    heights = rows[3]["freq_hist_data_bar_heights"]
    fullest = heights.index(max(heights))
    heights[fullest] -= 1
    heights[fullest - 5] += 1


ALONE = [  # damage that shows in the bundle itself
    ("features", add("freq_hist_data_bar_heights", 7, 1), 4, "freq_hist_data_bar_heights add up to"),
    ("features", put(4, frac_nonzero=0.5), 4, "frac_nonzero x"),
    ("features", put(4, frac_nonzero=1.5), 4, "frac_nonzero 1.5 is no share"),
    ("features", swap("freq_hist_data_bar_values", 4, 5), 4, "freq_hist_data_bar_values do not ascend"),
    ("features", add("freq_hist_data_bar_heights", 0, -900), 4, "which is no count"),
    ("features", lambda rows: rows[3]["freq_hist_data_bar_values"].pop(), 4, "have 49 and 50 entries"),
    ("features", put(4, maxActApprox=99.0), 4, "maxActApprox is 99; the largest maxValue of its activations is"),
    ("features", swap("pos_values"), 4, "pos_values do not descend"),
    ("features", swap("neg_values"), 4, "neg_values do not ascend"),
    ("features", swap("topkCosSimValues", 0, 9), 4, "topkCosSimValues do not descend"),
    ("features", swap("logits_hist_data_bar_values"), 4, "logits_hist_data_bar_values do not ascend"),
    ("features", put(4, pos_str=["a"]), 4, "pos_str and pos_values have 1 and 10 entries"),
    ("features", put(4, topkCosSimValues=["near"] * 10), 4, "topkCosSimValues is no list of numbers"),
    ("features", put(4, vector="long"), 4, "vector is no list of numbers"),
    ("features", put(4, vector=[]), 4, "hasVector is true; there is no vector"),
    ("features", put(4, pos_str=5), 4, "pos_str is no list of texts"),
    ("features", put(4, neg_values=[10**400] * 10), 4, "neg_values is no list of numbers"),
    ("features", put(4, frac_nonzero="much"), 4, "frac_nonzero 'much' is no share"),
    ("features", put(4, maxActApprox=[1]), 4, "maxActApprox [1] is no number"),
    ("features", put(4, index="5"), 6, "feature 5 is there already: line 4 of features/batch-0.jsonl.gz"),
    ("features", put(4, index="minus"), 4, "index 'minus' is no feature"),
    ("features", put(4, layer="2-small"), 4, "layer is '2-small'; the bundle is of '1-small'"),
    ("features", put(4, freq_hist_data_bar_values=None), 4, "has no freq_hist_data_bar_values"),
    ("features", lambda rows: rows.pop(3), 0, "features 3 are missing"),
    ("activations", put(1, maxValue=0.001), 1, "maxValue is 0.001; the largest of its values is"),
    ("activations", put(1, maxValueTokenIndex=0), 1, "maxValueTokenIndex is 0; the largest value is at"),
    ("activations", put(1, maxValueTokenIndex=99), 1, "maxValueTokenIndex is 99"),
    ("activations", put(1, minValue=-1.0), 1, "minValue is -1.0; the least of its values is 0"),
    ("activations", put(1, qualifyingTokenIndex=99), 1, "qualifyingTokenIndex 99 is none of its"),
    ("activations", lambda rows: rows[0]["tokens"].pop(), 1, "tokens and"),
    ("activations", put(1, values=["high"]), 1, "values is no list of numbers"),
    ("activations", lambda rows: rows[1].update(id=rows[0]["id"]), 2, "is that of an earlier row"),
    ("activations", put(1, modelId="gpt2"), 1, "modelId is 'gpt2'"),
    ("activations", put(1, tokens=None), 1, "has no tokens"),
    ("explanations", put(2, description=" "), 2, "description is empty"),
    ("explanations", put(2, index="640"), 2, "feature 640 is not in the bundle"),
]
BESIDE_THE_STORE = [  # damage that is consistent in itself
    ("features", put(4, frac_nonzero=0.5), 4, "of the store's samples"),
    ("features", put(4, maxActApprox=99.0), 4, "the store's maximum is"),
    ("features", add("vector", 2, 0.01), 4, "vector is not the feature's decoder row"),
    ("features", add("topkCosSimValues", 9, -0.01), 4, "topkCosSimValues[9] is"),
    ("features", put(4, topkCosSimIndices=[64] * 10), 4, "topkCosSimIndices holds 64, which is no feature"),
    ("features", add("correlated_features_pearson", 9, -0.01), 4, "correlated_features_pearson[9] is"),
    ("features", add("correlated_features_l1", 0, 0.01), 4, "correlated_features_l1[0] is"),
    ("features", add("pos_values", 9, -0.01), 4, "pos_values[9] is"),
    ("features", add("neg_values", 9, 0.01), 4, "neg_values[9] is"),
    ("features", swap("pos_str", 0, 9), 4, "pos_str[0] is"),
    ("features", add("logits_hist_data_bar_heights", 20, 3), 4, "logits_hist_data does not count the logits of"),
    ("features", move_a_count, 4, "freq_hist_data does not count the store's activations"),
    ("activations", nudge_maximum, 1, "; the store has"),
    ("activations", lambda rows: rows[0]["tokens"].__setitem__(1, "dog"), 1, "tokens are not those of context"),
]


def test_a_sound_bundle_passes_with_and_without_its_store(written: Path, shop: Shop) -> None:
    assert check(written) == [] and check(written, shop) == []
    report = verify(Bundle.open(written.parents[1]), *shop, None, Progress())
    assert report["not_checked"] == [] and report["rows"]["features"] == 64
    assert report["samples"] == shop.store.samples


@pytest.mark.parametrize(
    ("kind", "damage", "line", "words"), ALONE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_damage_is_named_with_its_file_and_line(bundle: Path, kind: str, damage: Damage, line: int, words: str) -> None:
    file = f"{kind}/batch-0.jsonl.gz"
    change_rows(bundle / file, damage)
    found = check(bundle)
    assert (file, 0, "was altered after the export: its sha256 differs") in found
    wanted = kind if line == 0 else file
    assert [each for each in found if each[:2] == (wanted, line) and words in each[2]], found


@pytest.mark.parametrize(
    ("kind", "damage", "line", "words"), BESIDE_THE_STORE, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_contradicts_the_store_is_named(
    bundle: Path, shop: Shop, kind: str, damage: Damage, line: int, words: str
) -> None:
    file = f"{kind}/batch-0.jsonl.gz"
    change_rows(bundle / file, damage)
    found = check(bundle, shop)
    assert [each for each in found if each[:2] == (file, line) and words in each[2]], found


def test_a_strongest_context_that_was_left_out_is_noticed(bundle: Path, shop: Shop) -> None:
    file = "activations/batch-0.jsonl.gz"
    rows = read_rows(bundle / file)
    at = next(i for i, row in enumerate(rows) if row["binContains"] == -1 and rows[i + 1]["maxValue"] < row["maxValue"])
    change_rows(bundle / file, lambda rows: rows.pop(at))
    words = f"feature {rows[at]['index']}: top activation"
    assert [each for each in check(bundle, shop) if each[0] == file and each[1] and words in each[2]]


def test_a_value_outside_of_its_bin_and_a_false_share_are_named(bundle: Path, shop: Shop) -> None:
    file = "activations/batch-0.jsonl.gz"
    rows = read_rows(bundle / file)
    drawn = [number for number, row in enumerate(rows, 1) if row["binContains"] != -1]
    change_rows(bundle / file, put(drawn[0], binMin=1e6, binMax=2e6))
    change_rows(bundle / file, put(drawn[1], binContains=rows[drawn[1] - 1]["binContains"] / 2 + 1e-4))
    change_rows(bundle / file, put(drawn[2], binMin=3, binMax=2))
    found = {(line, words.split(" ")[0]) for at, line, words in check(bundle, shop) if at == file and line}
    assert {(drawn[0], "value"), (drawn[1], "binContains"), (drawn[2], "bin")} <= found


def test_activations_without_a_feature_and_features_without_activations_are_named(bundle: Path) -> None:
    change_rows(bundle / "activations/batch-0.jsonl.gz", lambda rows: [row.update(index="70") for row in rows[:1]])
    change_rows(bundle / "activations/batch-0.jsonl.gz", lambda rows: _drop(rows, "9"))
    found = check(bundle)
    assert ("activations", 0, "activations of feature 70 are there, the feature is not") in found
    assert ("features/batch-0.jsonl.gz", 10, "fires, but has no activations") in found


def _drop(rows: Rows, feature: str) -> None:
    rows[:] = [row for row in rows if row["index"] != feature]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"index": NaN}', "is not valid JSON (NaN is no number)"),
        ("[1, 2]", "is not a JSON object"),
        ("{torn", "is not valid JSON"),
        ("[" * 200_000, "is not valid JSON"),
        ('{"index": "1"}', "has no modelId"),
    ],
    ids=["nan", "list", "torn", "deep", "poor"],
)
def test_lines_that_are_no_rows_are_named_and_the_rest_is_checked(bundle: Path, line: str, words: str) -> None:
    file = bundle / "features" / "batch-0.jsonl.gz"
    rows = gzip.decompress(file.read_bytes()).decode()
    file.write_bytes(gzip.compress((rows + line + "\n").encode()))
    found = check(bundle)
    assert [each for each in found if each[1] == 65 and words in each[2]], found
    assert not any("are missing" in words for _, _, words in found)


def test_a_torn_file_and_a_missing_one_are_named(bundle: Path) -> None:
    features, explanations = bundle / "features/batch-0.jsonl.gz", bundle / "explanations/batch-0.jsonl.gz"
    features.write_bytes(features.read_bytes()[:2000])
    explanations.unlink()
    (bundle / "source.jsonl").write_text("")
    found = check(bundle)
    assert [words for file, _, words in found if file == "features/batch-0.jsonl.gz" and "cannot be read" in words]
    assert ("explanations/batch-0.jsonl.gz", 0, "is missing") in found
    assert ("source.jsonl", 0, "is missing or holds no row") in found


def test_a_link_out_of_the_bundle_is_not_followed(bundle: Path, written: Path) -> None:
    (bundle / "features" / "batch-1.jsonl.gz").symlink_to(written / "features" / "batch-0.jsonl.gz")
    assert ("features/batch-1.jsonl.gz", 0, "leads out of the bundle") in check(bundle)


def test_cards_that_contradict_each_other_are_named(bundle: Path) -> None:
    change_rows(bundle / "sourceset.jsonl", put(1, name="other"))
    assert ("source.jsonl", 1, "setName is 'small'; sourceset.jsonl says 'other'") in check(bundle)


def test_a_bundle_of_another_tool_is_checked_too(bundle: Path, shop: Shop) -> None:
    as_foreign(bundle)
    assert check(bundle) == [] and check(bundle, shop) == []
    change_rows(bundle / "source.jsonl", put(1, num_prompts=shop.store.samples, num_tokens_in_prompt=1))
    change_rows(bundle / "features/batch-0.jsonl.gz", _as_saedashboard_rounds)
    assert check(bundle) == []
    change_rows(bundle / "features/batch-0.jsonl.gz", add("freq_hist_data_bar_heights", 7, 5))
    assert [words for _, line, words in check(bundle) if line == 4 and "add up to" in words]


def _as_saedashboard_rounds(rows: Rows) -> None:
    for row in rows:
        row["index"] = int(row["index"])
        row["frac_nonzero"] = round(row["frac_nonzero"], 5)
        row["freq_hist_data_bar_values"] = [round(value, 5) for value in row["freq_hist_data_bar_values"]]


def test_a_store_that_the_bundle_is_not_of_is_refused(written: Path, workspace: Workspace, store: Store) -> None:
    with pytest.raises(BadInput, match="was made from store 'small-l1@texts', not from 'tiny-l0@texts'"):
        check(written, Shop(workspace, store))


def test_a_store_without_an_output_head_is_checked_as_far_as_it_goes(
    workspace: Workspace, store: Store, tmp_path: Path
) -> None:
    bundle = write_bundle(Shop(workspace, store), tmp_path, last=20)
    report = verify(Bundle.open(bundle), workspace, store, None, Progress())
    assert report["problems"] == [] and report["not_checked"] == ["logits: the model has no output head"]


def test_a_sidecar_that_is_no_sidecar_does_no_harm(bundle: Path) -> None:
    for text in (
        "[]",
        "{torn",
        json.dumps({"plan": {"first": "x", "last": {}}, "files": {"../../x": 1}, "authors": 3}),
    ):
        (bundle / "loupe.json").write_text(text)
        check(bundle)
    assert ("../../x", 0, "is missing") in check(bundle)
    (bundle / "loupe.json").write_text(json.dumps({"plan": {"last": 2**31 - 1, "samples": True, "top": -3}}))
    assert ("features", 0, "features 64, 65, 66, 67, 68 and 2,147,483,579 more are missing") in check(bundle)
