"""An artifact is compared with a model: weights, hook points and widths; everything that differs is said."""

import shutil
from pathlib import Path

import pytest

from loaders.errors import BadInput
from loaders.hub_place import FolderPlace
from loaders.hub_schema import Artifact
from loaders.workspace import Workspace
from precompute.hub_model import compare, require_fit
from precompute.hub_push import Request, push
from precompute.progress import Progress


def send(workspace: Workspace, hub: Path, source: str) -> Artifact:
    return push(Request(source, "it", "1.0.0", "MIT"), workspace, FolderPlace(hub), Progress()).artifact


def other_model(workspace: Workspace, folder: Path, **shape: int) -> Path:
    """The session's encoder with other weights, and another shape where asked for."""
    import torch
    from transformers import BertConfig, BertModel

    shutil.copytree(workspace.models_dir() / "tiny", folder)
    torch.manual_seed(1)
    config = BertConfig.from_pretrained(folder)
    config.update(shape)
    BertModel(config).save_pretrained(folder)
    return folder


def test_the_model_that_a_set_was_made_for_fits(workspace: Workspace, tmp_path: Path) -> None:
    artifact = send(workspace, tmp_path, "layers/tiny")
    fit = compare(artifact, "tiny", workspace)
    assert (fit.model, fit.differences) == ("tiny", [])
    require_fit(artifact, str(workspace.models_dir() / "tiny"), workspace)


def test_other_weights_are_told_by_their_fingerprint(workspace: Workspace, tmp_path: Path) -> None:
    artifact = send(workspace, tmp_path / "hub", "saes/tiny-l0")
    fit = compare(artifact, str(other_model(workspace, tmp_path / "other")), workspace)
    assert len(fit.differences) == 1
    assert str(artifact.model and artifact.model.fingerprint)[:12] in fit.differences[0]
    assert fit.fingerprint[:12] in fit.differences[0]


def test_missing_hook_points_and_other_widths_are_all_said(workspace: Workspace, tmp_path: Path) -> None:
    artifact = send(workspace, tmp_path / "hub", "layers/tiny")
    model = other_model(workspace, tmp_path / "other", num_hidden_layers=1, hidden_size=16)
    differences = compare(artifact, str(model), workspace).differences
    assert len(differences) == 3
    assert "SAE 'tiny-l0' reads 32 numbers at 'encoder.layer.0'; other has 16 there." in differences
    assert "SAE 'tiny-l1' reads 'encoder.layer.1', which other does not have." in differences
    with pytest.raises(BadInput, match="does not fit model"):
        require_fit(artifact, str(model), workspace)


def test_a_dataset_has_nothing_to_compare(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no SAE"):
        compare(send(workspace, tmp_path, "datasets/texts"), "tiny", workspace)
