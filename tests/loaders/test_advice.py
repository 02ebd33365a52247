"""A recommendation reads back as it was written; whatever else lies in its place is refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from loaders.advice import Advice, AdvisedHook, Reason, advice_path, read_advice
from loaders.errors import StoreDamaged, StoreNotFound
from loaders.workspace import Workspace


def made() -> Advice:
    sample = {
        "computed_on": "cpu",
        "computed_in": "float32",
        "contexts": 3,
        "samples": 90,
        "of_samples": 900,
        "seed": 0,
    }
    hooks = [
        AdvisedHook(
            f"h.{i}", 8, 2 - i, 0.5 + i / 10, {"spread": 0.5, "new": None}, {"top_share": 0.5}, [Reason("for", "x")]
        )
        for i in range(2)
    ]
    return Advice("gpt2", "gpt2", "texts", {"model": "m", "dataset": "d"}, sample, "a mean", {"seed": 0}, hooks)


def test_a_recommendation_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(made().as_json()))
    assert read_advice(path) == made()
    assert [found.hook for found in read_advice(path).ranked] == ["h.1", "h.0"]


def test_its_place_is_named_by_model_and_dataset(tmp_path: Path) -> None:
    path = advice_path(Workspace(tmp_path), "../Big/Model", "Some Texts")
    assert path == tmp_path / "advice" / "big-model@some-texts.json"
    with pytest.raises(StoreNotFound, match="Run `loupe layers`"):
        read_advice(path)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "store"},
        {"schema_version": 2},
        {"hooks": []},
        {"hooks": "h.0"},
        {"sample": {}},
        {"fingerprints": None},
        {"plan": 3},
    ],
)
def test_a_file_of_another_kind_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(made().as_json() | change))
    with pytest.raises(StoreDamaged, match="Run `loupe layers` again"):
        read_advice(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("score", 1.5),
        ("score", "0.5"),
        ("score", None),
        ("score", float("nan")),
        ("rank", 7),
        ("reasons", [{"kind": "script", "text": "x"}]),
        ("measures", {"top_share": "<b>"}),
        ("parts", {"spread": True}),
    ],
)
def test_a_hook_point_with_impossible_values_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    found = made().as_json()
    found["hooks"][0][key] = value
    path = tmp_path / "a.json"
    path.write_text(json.dumps(found))
    with pytest.raises(StoreDamaged):
        read_advice(path)


@pytest.mark.parametrize("text", ["", "[", "[1]", "null", "[" * 100_000])
def test_what_is_not_an_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StoreDamaged):
        read_advice(tmp_path / "a.json")
