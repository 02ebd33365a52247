"""The weights' panel: figures for every tensor that has a value for each feature, or the sentence why there are none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from plotly.utils import PlotlyJSONEncoder
from safetensors.numpy import load_file, save_file

from dashboard import weights_panel
from dashboard.weights_panel import weights_body
from loaders.workspace import Workspace
from precompute.progress import Progress
from precompute.weight_facts import measure_sae


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of the test's own with copies of the SAEs."""
    shutil.copytree(workspace.root / "saes", tmp_path / "saes")
    return Workspace(tmp_path)


def shown(own: Workspace, sae: str = "tiny-l0") -> str:
    return json.dumps(weights_body(own, sae), cls=PlotlyJSONEncoder, ensure_ascii=False)


def change(own: Workspace, **tensors: np.ndarray) -> None:
    """Replace tensors of tiny-l0, as a training of its own would: with another fingerprint."""
    path = own.sae_dir("tiny-l0") / "sae_weights.safetensors"
    save_file(load_file(path) | tensors, path)
    cfg = own.sae_dir("tiny-l0") / "cfg.json"
    cfg.write_text(cfg.read_text().replace('"sae": "', '"sae": "0'))


def test_norms_cosines_and_biases_are_drawn_with_what_was_counted(own: Workspace) -> None:
    text = shown(own)
    for words in ("Norms", "Encoder against decoder", "Nearest decoder direction", "b_enc", "of 128 features"):
        assert words in text, words
    assert "128 features, width 32" in text and "values that are not finite: none" in text
    assert "threshold" not in text


def test_thresholds_and_values_that_are_not_finite_are_shown_where_they_are(own: Workspace) -> None:
    bias = np.zeros(128, np.float32)
    bias[:2] = np.nan
    change(own, threshold=np.linspace(0, 1, 128, dtype=np.float32), b_enc=bias)
    text = shown(own)
    assert "threshold (activation)" in text and "values that are not finite: 2 in b_enc" in text


def test_a_large_sae_waits_for_the_command_and_then_shows_what_it_kept(own: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(weights_panel, "QUICK", 1000)
    assert "loupe weights tiny-l0" in shown(own) and "have not been measured yet" in shown(own)
    assert measure_sae(own.sae("tiny-l0"), own, Progress()).is_kept
    assert "Nearest decoder direction" in shown(own)
    change(own, b_enc=np.ones(128, np.float32))
    assert "have not been measured yet" in shown(own)  # what was kept belongs to other weights


def test_a_workspace_that_cannot_be_written_is_measured_all_the_same(own: Workspace, monkeypatch) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("precompute.weight_facts.write_whole", refuse)
    measured = measure_sae(own.sae("tiny-l0"), own, Progress())
    assert not measured.is_kept and measured.facts.features == 128


def test_converted_unknown_and_damaged_saes_are_sentences(own: Workspace) -> None:
    weights = own.sae_dir("tiny-l0") / "sae_weights.safetensors"
    weights.write_bytes(b"nothing")
    assert "cannot be shown" in shown(own) and "cannot be read" in shown(own)
    weights.unlink()
    assert "are not in this workspace" in shown(own)
    assert "cannot be shown" in shown(own, "no-such-sae")
