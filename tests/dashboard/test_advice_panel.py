"""The recommendation's panel: every state in words, the command to type, and the SAEs that are there already."""

import json
from pathlib import Path

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboard.advice_panel import advice_panel, advice_rows
from loaders.advice import Advice, AdvisedHook, Reason, advice_path
from loaders.workspace import Workspace


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of the test's own over the shared parts."""
    for part in ("datasets", "models", "saes", "stores"):
        (tmp_path / part).symlink_to(workspace.root / part)
    return Workspace(tmp_path)


def write(own: Workspace, **changes: object) -> Advice:
    prints = own.manifests()["tiny-l0@texts"]["fingerprints"]
    sample = {
        "computed_on": "cpu",
        "computed_in": "float32",
        "contexts": 3,
        "samples": 90,
        "of_samples": 900,
        "seed": 0,
    }
    measures = {"norm_mean": 11.5, "top_share": 0.25, "participation": 7.0, "token_eta2": 0.93, "kept": None}
    said = [Reason("against", "still determined by the current token (eta² 0.93)")]
    hooks = [
        AdvisedHook(f"encoder.layer.{i}", 32, 2 - i, 0.4 + i / 10, {"spread": 0.75}, measures, said) for i in range(2)
    ]
    advice = Advice("tiny", "tiny", "texts", prints, sample, "a mean", {}, hooks)._replace(**changes)
    path = advice_path(own, "tiny", "texts")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(advice.as_json()))
    return advice


def shown(own: Workspace) -> str:
    return json.dumps(advice_panel(own, ["tiny-l0@texts", "tiny-l1@texts"]), cls=PlotlyJSONEncoder)


def test_before_it_was_measured_the_panel_names_the_whole_command(own: Workspace) -> None:
    text = shown(own)
    assert f"loupe layers tiny --dataset texts --workspace {own.root}" in text and "Compare the hook points" in text


def test_a_workspace_in_its_usual_place_needs_no_name(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = own.root / "workspace"
    usual.mkdir()
    for part in ("datasets", "models", "saes", "stores"):
        (own.root / part).rename(usual / part)
    monkeypatch.chdir(own.root)
    assert '"loupe layers tiny --dataset texts"' in shown(Workspace("workspace"))


def test_the_recommendation_is_shown_with_its_sample_score_and_best_hook_point(own: Workspace) -> None:
    write(own)
    text = shown(own)
    for words in ("90 of 900 samples in 3 contexts (a sample, seed 0)", "Begin at ", "a mean", "still determined by"):
        assert words in text, words


def test_rows_come_best_first_with_the_saes_that_are_there(own: Workspace) -> None:
    rows = advice_rows(write(own), {"encoder.layer.0": ["tiny-l0"]})
    assert [(row["rank"], row["hook"], row["saes"]) for row in rows] == [
        (1, "encoder.layer.1", []),
        (2, "encoder.layer.0", ["tiny-l0"]),
    ]
    assert (rows[0]["score"], rows[0]["token_eta2"], rows[0]["new"], rows[0]["participation"]) == (
        "0.500",
        "93.0 %",
        "–",
        "7.00",
    )


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_recommendation_for_other_weights_or_texts_is_out_of_date(own: Workspace, kind: str) -> None:
    prints = own.manifests()["tiny-l0@texts"]["fingerprints"]
    write(own, fingerprints=prints | {kind: "another"})
    assert "is out of date" in shown(own) and "loupe layers tiny --dataset texts" in shown(own)


def test_a_file_that_is_no_recommendation_is_said(own: Workspace) -> None:
    write(own)
    advice_path(own, "tiny", "texts").write_text("{}")
    assert "cannot be read" in shown(own)
