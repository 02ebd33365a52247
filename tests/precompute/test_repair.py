"""What is damaged after it was finished is made again by the very command that its message names."""

import shutil
from pathlib import Path

import pytest

from loaders.errors import BadInput, StoreDamaged
from loaders.manifest import file_sha256
from loaders.neuron_acts import NeuronActsLoader
from loaders.transposed import TransposedLoader
from loaders.workspace import Workspace
from precompute import convert, publish, transpose, verify
from precompute.progress import Progress

STORE = "tiny-l0@texts"


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(workspace.root, tmp_path / "w")
    return Workspace(tmp_path / "w")


def test_altered_arrays_are_transposed_again(copied: Workspace) -> None:
    path = copied.store_dir(STORE) / "features.zarr" / "data" / "c" / "0"
    before, altered = file_sha256(path), bytearray(path.read_bytes())
    altered[1000] ^= 1
    path.write_bytes(bytes(altered))
    with pytest.raises(StoreDamaged, match="data/c/0"):
        verify.run(verify.Config(), copied, Progress())
    transpose.run(transpose.Config(STORE), copied, Progress())
    assert file_sha256(path) == before
    publish.run(publish.Config(STORE), copied, Progress())
    verify.run(verify.Config(), copied, Progress())


@pytest.mark.parametrize("document", ["", "{", "[]", "{}", '{"zarr_format": 3, "node_type": "group"}', None])
def test_a_damaged_dense_layout_is_written_again(copied: Workspace, document: str | None) -> None:
    store = copied.store_dir(STORE)
    transpose.run(transpose.Config(STORE, dense=True), copied, Progress())
    if document is None:
        next(path for path in (store / "transposed.zarr" / "c").rglob("*") if path.is_file()).unlink()
    else:
        (store / "transposed.zarr" / "zarr.json").write_text(document)
    transpose.run(transpose.Config(STORE, dense=True), copied, Progress())
    assert len(TransposedLoader(store).load(3).indices) == len(copied.open_store(STORE).activations(3).indices)


def test_a_missing_pair_of_files_is_written_again(copied: Workspace) -> None:
    store = copied.store_dir(STORE)
    transpose.run(transpose.Config(STORE, per_feature=True), copied, Progress())
    (store / "neuron_acts" / "neuron_0003" / "acts.npy").unlink()
    transpose.run(transpose.Config(STORE, per_feature=True), copied, Progress())
    assert len(NeuronActsLoader(store).load(3).indices) == len(copied.open_store(STORE).activations(3).indices)


@pytest.mark.parametrize("name", [".s", "s.", "S"])
def test_a_name_that_would_become_another_id_is_refused(tmp_path: Path, name: str) -> None:
    config = convert.Config(source=("x.npy",), sae_id=name, dataset_id="d")
    with pytest.raises(BadInput, match="is not an id"):
        convert.run(config, Workspace(tmp_path), Progress())
