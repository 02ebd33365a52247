"""`loupe layers` ranks hook points on the terminal and as JSON, says which SAEs there are, and refuses in one sentence."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import loupe
from loaders.workspace import Workspace
from loupe.cli import main


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command takes SIGTERM over; the tests' own process keeps its handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def root(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of the tests' own over the shared parts."""
    made = tmp_path_factory.mktemp("advised")
    for part in ("datasets", "models", "saes"):
        (made / part).symlink_to(workspace.root / part)
    return made


def test_hook_points_are_ranked_with_reasons_and_the_saes_that_are_there(root: Path, capsys) -> None:
    assert main(["layers", "tiny", "--dataset", "texts", "--workspace", str(root), "--tokens", "2000"]) == 0
    said = capsys.readouterr().out
    assert "tiny over texts: 2,0" in said and " contexts, seed 0)." in said
    assert "1. encoder.layer." in said and "(has tiny-l0)" in said and "(has tiny-l1)" in said
    assert "participation ratio" in said or "of its variance is one direction" in said
    found = loupe.layer_advice(str(root), "tiny", "texts")
    assert f"Begin at {found.ranked[0].hook}." in said and found.score in said


def test_json_has_the_keys_that_the_documentation_names(root: Path, capsys) -> None:
    command = ["layers", "tiny", "--dataset", "texts", "--workspace", str(root), "--tokens", "300", "--json"]
    assert main([*command, "--hooks", "encoder.layer.1"]) == 0
    found = json.loads(capsys.readouterr().out)
    documented = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    part = documented.split("`loupe layers`\n")[1].split("\n## ")[0]
    (hook,) = found["hooks"]
    for key in (*found, *found["sample"], *hook, *hook["parts"], *hook["measures"]):
        assert f"`{key}`" in part, key
    assert found["saes"] == {"encoder.layer.1": ["tiny-l1"]} and hook["rank"] == 1
    assert Path(found["file"]) == root / "advice" / "tiny@texts.json"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["tiny", "--dataset", "nowhere"], "nowhere"),
        (["tiny", "--dataset", "texts", "--hooks", "encoder.layer.9"], "Nearest names: encoder.layer."),
        (["tiny", "--dataset", "texts", "--memory", "much"], "'much' is not a size"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(root: Path, options, words: str, capsys) -> None:
    assert main(["layers", *options, "--workspace", str(root)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("loupe: ") and said.count("\n") == 1


def test_the_step_that_matches_layers_goes_by_its_own_name(root: Path, capsys) -> None:
    assert main(["match-layers", "--set", "nowhere", "--workspace", str(root)]) == 2
    assert "matching needs two or more" in capsys.readouterr().err


def test_an_object_store_is_not_written_to(capsys) -> None:
    assert main(["layers", "tiny", "--dataset", "texts", "--workspace", "s3://bucket/a"]) == 2
    assert "can only be read" in capsys.readouterr().err
