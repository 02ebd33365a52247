"""A pack restores its store byte for byte, and other tools read it."""

import json
import shutil
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from loaders.csc import CscLoader
from loaders.errors import BadInput, StoreDamaged
from loaders.inspection import inspect_store
from loaders.manifest import check_files, file_sha256, read_manifest
from loaders.store import Store
from loaders.workspace import Workspace
from precompute import packing, publish, transpose
from precompute.packing import pack
from precompute.progress import Progress
from precompute.sample_blocks import write_batch
from precompute.unpacking import unpack

STORE = "tiny-l0@texts"


@pytest.mark.parametrize("form", ["packed", "packed_tar"])
def test_the_recipient_has_the_same_bytes(
    workspace: Workspace,
    empty: Workspace,
    form: str,
    request: pytest.FixtureRequest,
    files_of: Callable[[Path], dict[str, str]],
) -> None:
    restored = unpack(request.getfixturevalue(form), empty, Progress())
    original = workspace.store_dir(STORE)
    wanted = {name: digest for name, digest in files_of(original).items() if not name.startswith("activations/")}
    found = files_of(restored)
    assert found.keys() == wanted.keys()
    assert {name for name in found if found[name] != wanted[name]} == {"manifest.json"}
    assert files_of(empty.dataset_dir("texts")) == files_of(workspace.dataset_dir("texts"))
    for name in ("cfg.json", "sae_weights.safetensors"):
        assert (empty.sae_dir("tiny-l0") / name).read_bytes() == (workspace.sae_dir("tiny-l0") / name).read_bytes()
    assert {path.name for path in empty.root.iterdir()} == {"stores", "datasets", "saes"}
    assert not list(empty.root.rglob(".unpacked"))


def test_the_restored_store_is_whole_and_answers_alike(store: Store, packed: Path, empty: Workspace) -> None:
    report = inspect_store(unpack(packed, empty, Progress()), verify=True)
    assert (report["faults"], report["unlisted"], report["loaders"]) == ([], [], ["csc"])
    restored = empty.open_store(STORE)
    assert restored.manifest["fingerprints"] == store.manifest["fingerprints"]
    for feature in range(store.features):
        np.testing.assert_array_equal(restored.activations(feature).indices, store.activations(feature).indices)
        np.testing.assert_array_equal(restored.activations(feature).activations, store.activations(feature).activations)
    assert restored.top_tokens(3).equals(store.top_tokens(3))
    publish.run(publish.Config(STORE), empty, Progress())
    assert empty.open_store(STORE).generation == store.generation, "nothing was added, so nothing is published"


def test_both_forms_hold_the_same_files_and_packing_again_gives_the_same_bytes(
    workspace: Workspace, packed: Path, packed_tar: Path, tmp_path: Path, files_of: Callable[[Path], dict[str, str]]
) -> None:
    with tarfile.open(packed_tar) as tar:
        assert set(tar.getnames()) == files_of(packed).keys()
    assert files_of(pack(workspace, STORE, tmp_path / "again", False, True, Progress()).path) == files_of(packed)
    assert file_sha256(pack(workspace, STORE, tmp_path / "a.tar", True, True, Progress()).path) == file_sha256(
        packed_tar
    )


def test_other_tools_read_the_activations_with_the_encodings_promised(store: Store, packed: Path) -> None:
    path = packed / "store/features.parquet"
    frame = pq.read_table(path).to_pandas()
    mine = frame[frame["feature_id"] == 9]
    np.testing.assert_array_equal(mine["sample"], store.activations(9).indices)
    np.testing.assert_array_equal(mine["value"], store.activations(9).activations)
    columns = [pq.read_metadata(path).row_group(0).column(i) for i in range(3)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert "DELTA_BINARY_PACKED" in columns[1].encodings and "BYTE_STREAM_SPLIT" in columns[2].encodings
    assert not columns[1].has_dictionary_page and not columns[2].has_dictionary_page


def test_row_groups_hold_whole_features_and_a_long_feature_has_its_own(
    store: Store, packed: Path, tmp_path: Path, reseal: Callable[..., None]
) -> None:
    copy = shutil.copytree(packed, tmp_path / "small")
    path = copy / "store/features.parquet"
    with Progress().step("write", store.manifest["nnz"], "bytes") as bar:
        packing.write_activations(store.directory, path, STORE, bar, most=1000)
    table = pq.ParquetFile(path)
    owners = [set(table.read_row_group(i)["feature_id"].to_pylist()) for i in range(table.num_row_groups)]
    assert max(table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)) <= 1000
    assert any(len(here) > 1 for here in owners)
    assert any(here == after for here, after in pairwise(owners)), "no feature is long enough for this test"
    assert all(here == after for here, after in pairwise(owners) if here & after)
    reseal(copy)
    assert inspect_store(unpack(copy, Workspace(tmp_path / "to"), Progress()), verify=True)["faults"] == []


def test_random_activations_are_restored_exactly(workspace: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, (samples, features, density) in enumerate(
        [(1, 1, 1.0), (50, 7, 0.0), (400, 30, 0.3), (70_000, 3, 0.9)]
    ):
        matrix = sp.random_array((samples, features), density=density, format="csr", dtype=np.float32, rng=rng)
        matrix.data = np.exp(rng.normal(0, 30, matrix.nnz)).clip(1e-37, 3e38).astype(np.float32)
        source, target = Workspace(tmp_path / f"from{number}"), Workspace(tmp_path / f"to{number}")
        shutil.copytree(workspace.dataset_dir("texts"), source.dataset_dir("texts"))
        store_dir = source.store_dir(STORE)
        (store_dir / "activations").mkdir(parents=True)
        write_batch(store_dir / "activations/batch_0000.zarr", matrix, {})
        (store_dir / "harvest.json").write_text(json.dumps({"samples": samples}))
        transpose.run(transpose.Config(STORE), source, Progress())
        dataset = source.dataset("texts").fingerprint
        fields = {"samples": samples, "features": features, "nnz": matrix.nnz, "sae": "tiny-l0", "dataset": "texts"}
        fields |= {"hook": "h", "fingerprints": {"model": "m", "sae": "s", "dataset": dataset}}
        publish.publish(store_dir, fields, [])
        path = pack(source, STORE, tmp_path / f"pack{number}", False, True, Progress()).path
        restored = CscLoader(unpack(path, target, Progress()))
        check_files(target.store_dir(STORE), read_manifest(target.store_dir(STORE), "store"), hashes=True)
        columns = matrix.tocsc()
        for feature in range(features):
            start, stop = columns.indptr[feature], columns.indptr[feature + 1]
            np.testing.assert_array_equal(restored.load(feature).indices, columns.indices[start:stop])
            np.testing.assert_array_equal(restored.load(feature).activations, columns.data[start:stop])


def test_without_the_sae_nothing_of_it_is_packed(workspace: Workspace, empty: Workspace, tmp_path: Path) -> None:
    path = pack(workspace, STORE, tmp_path / "bare", False, False, Progress()).path
    assert not (path / "sae").exists()
    assert inspect_store(unpack(path, empty, Progress()), verify=True)["faults"] == []
    assert empty.sae_ids() == []


def test_a_damaged_store_is_not_packed(workspace: Workspace, tmp_path: Path) -> None:
    for part in (f"stores/{STORE}", "datasets/texts", "saes/tiny-l0"):
        shutil.copytree(workspace.root / part, tmp_path / part)
    path = tmp_path / f"stores/{STORE}/tables/stats.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreDamaged, match=r"stats\.parquet' is altered"):
        pack(Workspace(tmp_path), STORE, tmp_path / "out", False, True, Progress())
    assert not list(tmp_path.glob("*out*"))


def test_an_existing_place_is_not_overwritten(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        pack(workspace, STORE, tmp_path / "taken", True, True, Progress())
    assert (tmp_path / "taken").read_text() == "mine"
