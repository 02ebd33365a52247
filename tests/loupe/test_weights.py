"""`loupe weights` and the notebook functions give an SAE's tensors by name and measure them once."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import loupe
from loaders.weight_facts import FILE
from loaders.workspace import Workspace
from loupe.cli import main


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The command takes SIGTERM over; the tests' own process keeps its handler."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def root(workspace: Workspace, tmp_path: Path) -> Path:
    """A workspace of the test's own with copies of the SAEs."""
    shutil.copytree(workspace.root / "saes", tmp_path / "saes")
    return tmp_path


def ask(root: Path, capsys, *options: str) -> dict:
    assert main(["weights", "tiny-l0", "--workspace", str(root), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_report_has_every_distribution_and_says_how_many_values(root: Path, capsys) -> None:
    found = ask(root, capsys)
    decoder = loupe.sae(str(root), "tiny-l0").tensor("W_dec")
    norms = np.linalg.norm(decoder, axis=1)
    assert found["decoder_norm"]["median"] == pytest.approx(np.median(norms))
    assert found["max_cosine"]["n"] == found["features"] == 128
    unit = decoder / norms[:, None]
    cosines = unit @ unit.T - 2 * np.eye(128)
    assert found["near_duplicates"] == (cosines.max(axis=1) > found["duplicate_from"]).sum()
    assert found["max_cosine"]["max"] == pytest.approx(cosines.max(), abs=1e-5)
    assert found["nonfinite"] == {"W_dec": 0, "W_enc": 0, "b_dec": 0, "b_enc": 0}
    assert found["tensors"]["W_enc"] == [32, 128]


def test_the_measures_are_kept_beside_the_sae_and_read_again(root: Path, capsys) -> None:
    ask(root, capsys)
    path = root / "saes" / "tiny-l0" / FILE
    before = path.stat().st_mtime_ns
    ask(root, capsys)
    assert path.stat().st_mtime_ns == before
    cfg = root / "saes" / "tiny-l0" / "cfg.json"
    cfg.write_text(cfg.read_text().replace('"sae": "', '"sae": "00'))
    ask(root, capsys)
    assert path.stat().st_mtime_ns != before


def test_one_feature_has_the_values_of_the_notebook(root: Path, capsys) -> None:
    found, facts = ask(root, capsys, "--feature", "7"), loupe.weight_facts(str(root), "tiny-l0")
    assert found["nearest"] == facts.nearest[7] and found["max_cosine"] == pytest.approx(float(facts.max_cosine[7]))
    assert found["biases"]["b_enc"] == pytest.approx(float(facts.biases["b_enc"][7]))


def test_a_tensor_is_described_and_a_features_part_of_it_given(root: Path, capsys) -> None:
    whole = ask(root, capsys, "--tensor", "W_enc")
    assert (whole["shape"], whole["dtype"], whole["values"], whole["n"]) == ([32, 128], "float32", None, 32 * 128)
    part = ask(root, capsys, "--tensor", "W_enc", "--feature", "3")
    np.testing.assert_allclose(part["values"], loupe.sae(str(root), "tiny-l0").tensor("W_enc")[:, 3])
    assert part["norm"] == pytest.approx(np.linalg.norm(part["values"]))
    assert len(ask(root, capsys, "--tensor", "b_enc", "--feature", "3")["values"]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tensor", "threshold"], "has no tensor 'threshold'. It has W_dec, W_enc, b_dec, b_enc."),
        (["--tensor", "b_dec", "--feature", "1"], "no part for each feature"),
        (["--tensor", "W_dec", "--feature", "128"], "features 0 to 127"),
        (["--feature", "-1"], "features 0 to 127"),
    ],
)
def test_what_is_not_there_is_one_sentence(root: Path, options, words: str, capsys) -> None:
    assert main(["weights", "tiny-l0", "--workspace", str(root), *options]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert words in said and said.startswith("loupe: ")


@pytest.mark.parametrize(
    "options", [[], ["--feature", "3"], ["--tensor", "W_dec"], ["--tensor", "W_dec", "--feature", "3"]]
)
def test_the_terminal_shows_numbers_and_no_json(root: Path, options, capsys) -> None:
    assert main(["weights", "tiny-l0", "--workspace", str(root), *options]) == 0
    said = capsys.readouterr().out
    assert "tiny-l0" in said and "{" not in said and "nan" not in said


def test_a_converted_sae_has_no_weights_to_show(root: Path, capsys) -> None:
    cfg = root / "saes" / "tiny-l0" / "cfg.json"
    found = json.loads(cfg.read_text())
    cfg.write_text(json.dumps(found | {"architecture": "unknown"}))
    (root / "saes" / "tiny-l0" / "sae_weights.safetensors").unlink()
    assert main(["weights", "tiny-l0", "--workspace", str(root)]) == 2
    assert "weights" in capsys.readouterr().err


def test_json_keys_are_in_the_documentation(root: Path, capsys) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    part = documented.split("`loupe weights`\n")[1].split("\n## ")[0]
    for options in ([], ["--feature", "3"], ["--tensor", "W_dec"]):
        for key in ask(root, capsys, *options):
            assert f"`{key}`" in part, key
