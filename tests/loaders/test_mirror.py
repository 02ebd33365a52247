"""A workspace in an object store, read through a real S3 server on this machine."""

import json

import fsspec
import numpy as np
import pytest

from loaders.errors import BadInput, FeatureNotFound, SourceUnavailable, StoreDamaged, StoreNotFound
from loaders.object_csc import ObjectCscLoader
from loaders.snapshots import read_snapshots, snapshot_name
from loaders.store import Store
from loaders.workspace import Workspace

STORE = "tiny-l0@texts"


@pytest.fixture
def url(bucket_url: str) -> str:
    return bucket_url


def objects() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("s3", skip_instance_cache=True)


def test_a_store_answers_from_an_object_store_as_from_the_disk(url: str, store: Store) -> None:
    remote = Workspace(url)
    assert remote.store_ids() == ["tiny-l0@texts", "tiny-l1@texts"]
    opened = remote.open_store(store.id)
    assert isinstance(opened.loader, ObjectCscLoader)
    for feature in range(store.features):
        found, wanted = opened.activations(feature), store.activations(feature)
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(found.activations, wanted.activations)
    assert opened.stats().equals(store.stats())
    feature = int(store.stats()["n"].idxmax())
    assert opened.examples(feature) == store.examples(feature)
    assert opened.top_tokens(feature).equals(store.top_tokens(feature))
    assert remote.sae_ids() and (remote.sae(store.sae_id).decoder() is not None)
    assert remote.layer_set("tiny").members == ["tiny-l0@texts", "tiny-l1@texts"]


def test_activations_stay_in_the_object_store(url: str) -> None:
    remote = Workspace(url)
    directory = remote.open_store(STORE).directory
    kept = {path.relative_to(directory).parts[0] for path in directory.rglob("*") if path.is_file()}
    assert "activations" not in kept and "tables" in kept
    assert not (directory / "features.zarr" / "data").exists()


def test_an_unknown_feature_is_refused(url: str) -> None:
    with pytest.raises(FeatureNotFound):
        Workspace(url).open_store(STORE).loader.load(128)


def test_a_new_generation_is_seen_and_its_files_are_copied(url: str) -> None:
    remote, files, path = Workspace(url), objects(), url.removeprefix("s3://") + f"/stores/{STORE}/manifest.json"
    before = remote.open_store(STORE)
    manifest = json.loads(files.cat_file(path))
    files.pipe_file(path, json.dumps({**manifest, "generation": manifest["generation"] + 1}).encode())
    assert remote.open_store(STORE).generation == before.generation + 1


def test_a_table_that_is_not_the_listed_one_is_refused_by_name(url: str) -> None:
    files, path = objects(), url.removeprefix("s3://") + f"/stores/{STORE}/tables/stats.parquet"
    altered = bytearray(files.cat_file(path))
    altered[len(altered) // 2] ^= 1
    files.pipe_file(path, bytes(altered))
    with pytest.raises(StoreDamaged, match=r"stats\.parquet' is not the file"):
        Workspace(url).open_store(STORE)


def test_shortened_activations_are_refused_on_opening(url: str) -> None:
    files, path = objects(), url.removeprefix("s3://") + f"/stores/{STORE}/features.zarr/data/c/0"
    files.pipe_file(path, files.cat_file(path)[:-8])
    with pytest.raises(StoreDamaged, match="bytes instead of"):
        Workspace(url).open_store(STORE)


def test_a_server_that_is_away_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SourceUnavailable, match="cannot be listed"):
        Workspace(url).store_ids()


def test_labels_need_a_database_of_their_own(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOUPE_DATABASE_URL")
    with pytest.raises(BadInput, match="LOUPE_DATABASE_URL"):
        _ = Workspace(url).catalog_url


def test_an_address_that_nothing_reads_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        Workspace("nonsense://bucket")


def test_a_store_that_was_removed_there_is_forgotten(url: str) -> None:
    Workspace(url).open_store(STORE)
    objects().rm(url.removeprefix("s3://") + f"/stores/{STORE}", recursive=True)
    assert Workspace(url).store_ids() == ["tiny-l1@texts"]
    with pytest.raises(StoreNotFound):
        Workspace(url).open_store(STORE)


@pytest.mark.parametrize("document", ["{", "[]", '{"files": {"a": 1}}'])
def test_a_manifest_that_says_nothing_is_refused_in_words(url: str, document: str) -> None:
    objects().pipe_file(url.removeprefix("s3://") + f"/stores/{STORE}/manifest.json", document.encode())
    with pytest.raises(StoreDamaged):
        Workspace(url).open_store(STORE)


def test_a_file_that_no_manifest_lists_follows_the_object_store(url: str) -> None:
    remote, files = Workspace(url), objects()
    name = "advice/tiny@texts.json"
    assert not remote.file(name).exists()
    for text in (b"first", b"second"):
        files.pipe_file(f"{url.removeprefix('s3://')}/{name}", text)
        assert remote.file(name).read_bytes() == text
    files.rm(f"{url.removeprefix('s3://')}/{name}")
    assert not remote.file(name).exists()


def test_snapshots_are_listed_without_a_copy_and_copied_when_they_are_looked_at(url: str, workspace: Workspace) -> None:
    remote = Workspace(url)
    assert remote.snapshot_steps("tiny-l0") == workspace.snapshot_steps("tiny-l0") != []
    folder = remote.sae_dir("tiny-l0") / "snapshots"
    assert not folder.exists()
    found, wanted = (read_snapshots(one.with_snapshots("tiny-l0")) for one in (remote, workspace))
    assert found.damaged == [] and len(found.snapshots) == len(wanted.snapshots)
    for one, other in zip(found.snapshots, wanted.snapshots, strict=True):
        assert (one.step, one.fvu) == (other.step, other.fvu)
        np.testing.assert_array_equal(one.density, other.density)
        np.testing.assert_array_equal(one.direction(3), other.direction(3))
    assert not (remote.sae_dir("tiny-l1") / "snapshots").exists()


def test_a_snapshot_that_came_or_went_in_the_object_store_is_seen(url: str, workspace: Workspace) -> None:
    remote, files = Workspace(url), objects()
    steps = remote.snapshot_steps("tiny-l0")
    remote.with_snapshots("tiny-l0")
    prefix = url.removeprefix("s3://") + "/saes/tiny-l0/snapshots/"
    files.rm_file(prefix + snapshot_name(steps[0]))
    files.pipe_file(prefix + "step_00000003.safetensors", b"torn")
    assert remote.snapshot_steps("tiny-l0") == sorted({*steps[1:], 3})
    found = read_snapshots(remote.with_snapshots("tiny-l0"))
    assert [snapshot.step for snapshot in found.snapshots] == steps[1:]
    assert len(found.damaged) == 1 and "step_00000003" in found.damaged[0]


def test_an_sae_without_snapshots_has_none_in_an_object_store_either(url: str) -> None:
    remote = Workspace(url)
    assert remote.snapshot_steps("nobody") == []
    assert read_snapshots(remote.with_snapshots("nobody")) == ([], [])
