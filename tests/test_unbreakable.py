"""Nothing that goes wrong with a disk, a process or a name makes a store lie: it is found, named and refused."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders.batch_scan import BatchScanLoader
from loaders.csc import CscLoader
from loaders.errors import BadInput, LoupeError, StoreDamaged, StoreNotFound
from loaders.inspection import inspect_store
from loaders.manifest import read_manifest
from loaders.neuron_acts import NeuronActsLoader
from loaders.protocol import ActivationLoader, FeatureActivations
from loaders.seal import sealed
from loaders.store import Store
from loaders.transposed import TransposedLoader
from loaders.workspace import Workspace
from precompute import publish, transpose
from precompute.progress import Progress

STORE = "tiny-l0@texts"
LOADERS: list[Callable[[Path], ActivationLoader]] = [CscLoader, BatchScanLoader, TransposedLoader, NeuronActsLoader]


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    for kind in ("stores", "datasets", "saes"):
        shutil.copytree(workspace.root / kind, tmp_path / "w" / kind)
    return Workspace(tmp_path / "w")


# A flipped byte -------------------------------------------------------------------------------------------------


def test_a_flipped_byte_in_any_file_is_found_and_named(copied: Workspace) -> None:
    rng = random.Random(0)
    directory = copied.store_dir(STORE)
    listed = [directory / name for name in read_manifest(directory, "store")["files"]]
    dataset = copied.dataset_dir("texts")
    listed += [dataset / name for name in read_manifest(dataset, "dataset")["files"]]
    listed += [directory / "manifest.json", copied.sae_dir("tiny-l0") / "sae_weights.safetensors"]
    assert {path.suffix for path in listed} >= {".json", ".parquet", ".arrow", ".npy", ".safetensors", ""}
    for path in listed:
        whole = path.read_bytes()
        wanted = path.relative_to(copied.root).as_posix()
        for place in (rng.randrange(len(whole)), len(whole) - 1):
            altered = bytearray(whole)
            altered[place] ^= 1 << rng.randrange(8)
            path.write_bytes(altered)
            found = {fault["file"] for fault in inspect_store(directory, verify=True)["faults"]}
            if path.name == "manifest.json":  # it may accuse others wrongly; white space says nothing
                assert wanted in found or bytes(altered).split() == whole.split(), f"byte {place} of {wanted}"
            else:
                assert found == {wanted}, f"byte {place} of {wanted}"
        path.write_bytes(whole)
    assert inspect_store(directory, verify=True)["faults"] == []


# A truncated chunk ----------------------------------------------------------------------------------------------


@pytest.fixture
def every_form(copied: Workspace) -> Path:
    transpose.run(transpose.Config(STORE, dense=True, per_feature=True), copied, Progress())
    return copied.store_dir(STORE)


def answer(loader: Callable[[Path], ActivationLoader], directory: Path, feature: int) -> FeatureActivations | None:
    """What the loader says about a feature; None where it refuses, or has nothing to read."""
    try:
        made = loader(directory)
        return made.load(feature) if made.is_available else None
    except StoreDamaged:
        return None


@pytest.mark.parametrize("loader", LOADERS)
def test_a_truncated_chunk_never_yields_a_wrong_number(
    store: Store, every_form: Path, loader: Callable[[Path], ActivationLoader]
) -> None:
    folder = {CscLoader: "features.zarr", BatchScanLoader: "activations", TransposedLoader: "transposed.zarr"}
    files = [path for path in (every_form / folder.get(loader, "neuron_acts")).rglob("*") if path.is_file()]
    features = range(0, store.features, 9)
    wanted = {feature: store.activations(feature) for feature in features}
    refused = 0
    chosen = random.Random(0).sample(files, min(len(files), 12)) + [path for path in files if "c" in path.parts][:4]
    chosen += [path for path in files if path.parent.name == "neuron_0009"]
    for path in chosen:
        whole = path.read_bytes()
        for length in (None, 0, 1, len(whole) // 2, len(whole) - 1):
            path.unlink() if length is None else path.write_bytes(whole[:length])
            for feature in features:
                found = answer(loader, every_form, feature)
                if found is None:
                    refused += 1
                    continue
                np.testing.assert_array_equal(found.indices, wanted[feature].indices)
                np.testing.assert_array_equal(found.activations, wanted[feature].activations)
            path.write_bytes(whole)
    assert refused >= len([path for path in chosen if path.name != "layout.json"])


def test_a_store_with_a_truncated_file_does_not_open(copied: Workspace) -> None:
    directory = copied.store_dir(STORE)
    for name in read_manifest(directory, "store")["files"]:
        whole = (directory / name).read_bytes()
        (directory / name).write_bytes(whole[:-1])
        with pytest.raises(StoreDamaged, match=f"File '{name}' of '{STORE}' has"):
            Workspace(copied.root).open_store(STORE)
        (directory / name).write_bytes(whole)
    assert Workspace(copied.root).open_store(STORE)


# Names that lead elsewhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "store_id",
    [
        "../stores/x@y",
        "..@..",
        "a@b/../c",
        "/etc@passwd",
        "a@",
        "",
        "A@B",
        "a@b\n",
        "a\0@b",
        "x" * 300 + "@y",
        "%2e%2e@x",
    ],
)
def test_a_store_id_leads_nowhere_else(copied: Workspace, store_id: str) -> None:
    for ask in (copied.store_dir, copied.open_store):
        with pytest.raises(StoreNotFound):
            ask(store_id)
    with pytest.raises(StoreNotFound, match="is not a store id"):
        publish.run(publish.Config(store_id), copied, Progress())


@pytest.mark.parametrize("kind", ["dataset_dir", "sae_dir", "layers_dir"])
@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a/../../b", "..", "...", "a\0b", "a\nb"])
def test_other_ids_become_names_within_their_folder(copied: Workspace, kind: str, name: str) -> None:
    try:
        made = getattr(copied, kind)(name)
    except BadInput:
        return
    assert made.parent.parent == copied.root
    assert made.resolve().is_relative_to(copied.root)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../../secret": {"bytes": 6, "sha256": "0" * 64}}},
        {"files": {"/etc/hostname": {"bytes": 1, "sha256": "0" * 64}}},
        {"dataset": "../../elsewhere"},
        {"dataset": "/etc"},
        {"dataset": ".."},
    ],
)
def test_a_manifest_leads_nowhere_else(copied: Workspace, tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "secret").write_text("secret")
    shutil.copytree(copied.dataset_dir("texts"), tmp_path / "elsewhere")
    path = copied.store_dir(STORE) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(sealed({**manifest, **change})))
    with pytest.raises(LoupeError):
        copied.open_store(STORE)
    assert inspect_store(copied.store_dir(STORE), verify=True)["faults"]


def test_a_link_in_a_store_that_leads_elsewhere_is_refused(copied: Workspace, tmp_path: Path) -> None:
    path = copied.store_dir(STORE) / "tables/map.parquet"
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(StoreDamaged, match="lies outside of it"):
        copied.open_store(STORE)
    assert len(inspect_store(copied.store_dir(STORE))["faults"]) == 1
