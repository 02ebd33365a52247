"""A hub in an object store, through a real S3 server on this machine."""

import json
from pathlib import Path

import fsspec
import pytest

from loaders.errors import BadInput, SourceUnavailable, StoreDamaged
from loaders.hub import Hub
from loaders.hub_place import ObjectPlace, open_place
from loaders.hub_schema import DOCUMENT
from loaders.workspace import Workspace
from precompute.hub_download import hub_faults
from precompute.hub_pull import plan, pull
from precompute.hub_push import Pushed, Request, push
from precompute.hub_upload import put_bytes
from precompute.progress import Progress

STORE = "tiny-l0@texts"


@pytest.fixture
def place(bucket: str) -> ObjectPlace:
    """An empty hub below a bucket of its own."""
    made = open_place(f"s3://{bucket}/shared/hub/")
    assert isinstance(made, ObjectPlace)
    return made


def send(workspace: Workspace, place: ObjectPlace, source: str, name: str, **more) -> Pushed:
    return push(Request(source, name, "1.0.0", "MIT", **more), workspace, place, Progress())


def test_a_store_goes_through_an_object_store_and_back(
    workspace: Workspace, place: ObjectPlace, tmp_path: Path
) -> None:
    send(workspace, place, "datasets/texts", "texts")
    send(workspace, place, f"stores/{STORE}", "it", depends=("texts@^1",))
    hub = Hub(place).refresh()
    assert [each.reference for each in hub.artifacts()] == ["it@1.0.0", "texts@1.0.0"]
    pulled = pull(plan(hub, "it@^1"), hub, Workspace(tmp_path), Progress())
    assert sorted(pulled.added) == ["datasets/texts", "saes/tiny-l0", f"stores/{STORE}"]
    assert Workspace(tmp_path).open_store(STORE).stats().equals(workspace.open_store(STORE).stats())


def test_a_version_is_never_published_twice_by_whoever_comes_second(workspace: Workspace, place: ObjectPlace) -> None:
    send(workspace, place, "saes/tiny-l0", "it")
    with pytest.raises(BadInput, match="published already"):
        send(workspace, place, "saes/tiny-l1", "it")
    with pytest.raises(BadInput, match="published already"):
        put_bytes(place, f"it/1.0.0/{DOCUMENT}", b"{}")  # somebody who did not see it when the push began
    assert Hub(place).refresh().artifacts()[0].saes[0].id == "tiny-l0"


def test_files_that_are_there_whole_are_not_sent_again(workspace: Workspace, place: ObjectPlace) -> None:
    whole = send(workspace, place, f"stores/{STORE}", "it").artifact
    place.files.rm(f"{place.path}/it/1.0.0/{DOCUMENT}")
    damaged = f"{place.path}/it/1.0.0/saes/tiny-l0/sae_weights.safetensors"
    place.files.pipe_file(damaged, bytes(place.files.size(damaged)))
    again = send(workspace, place, f"stores/{STORE}", "it")
    weights = next(file.size for file in whole.files if file.path.endswith("sae_weights.safetensors"))
    assert (again.sent, again.skipped) == (weights, whole.size - weights)
    assert hub_faults(place, again.artifact, lambda size: None) == []


def test_a_damaged_object_is_named_and_nothing_becomes_visible(
    workspace: Workspace, place: ObjectPlace, tmp_path: Path
) -> None:
    artifact = send(workspace, place, "saes/tiny-l0", "it").artifact
    path = f"{place.path}/it/1.0.0/saes/tiny-l0/sae_weights.safetensors"
    altered = bytearray(place.files.cat_file(path))
    altered[len(altered) // 2] ^= 1
    place.files.pipe_file(path, bytes(altered))
    hub = Hub(place).refresh()
    with pytest.raises(StoreDamaged, match=r"sae_weights\.safetensors' of 'it@1\.0\.0'"):
        pull(plan(hub, "it"), hub, Workspace(tmp_path), Progress())
    assert not (tmp_path / "saes" / "tiny-l0").exists()
    place.files.rm(path)
    assert "is missing" in hub_faults(place, artifact, lambda size: None)[0]


def test_one_damaged_document_does_not_hide_the_others(workspace: Workspace, place: ObjectPlace) -> None:
    send(workspace, place, "saes/tiny-l0", "one")
    send(workspace, place, "saes/tiny-l1", "two")
    path = f"{place.path}/one/1.0.0/{DOCUMENT}"
    place.files.pipe_file(path, json.dumps(json.loads(place.files.cat_file(path)) | {"license": "x"}).encode())
    hub = Hub(place).refresh()
    assert [each.name for each in hub.artifacts()] == ["two"] and "checksum" in hub.faults[0]


def test_an_empty_place_is_an_empty_hub_and_a_missing_bucket_none(place: ObjectPlace) -> None:
    assert Hub(place).refresh().artifacts() == []
    with pytest.raises(BadInput, match="no hub at 's3://nowhere-at-all/hub'"):
        Hub(open_place("s3://nowhere-at-all/hub")).refresh()


def test_a_server_that_is_away_is_named(place: ObjectPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(SourceUnavailable, match="cannot be listed"):
        Hub(open_place("s3://bucket/hub")).refresh()


def test_another_file_system_of_fsspec_serves_as_well(workspace: Workspace, tmp_path: Path) -> None:
    place = open_place("memory://hub-of-this-test")
    assert isinstance(place, ObjectPlace)
    send(workspace, place, "saes/tiny-l0", "it")
    hub = Hub(place).refresh()
    pull(plan(hub, "it"), hub, Workspace(tmp_path), Progress())
    assert Workspace(tmp_path).sae_ids() == ["tiny-l0"]
    with pytest.raises(BadInput, match="published already"):
        put_bytes(place, f"it/1.0.0/{DOCUMENT}", b"{}")


def test_a_password_in_an_address_is_not_shown() -> None:
    assert open_place("memory://me:secret@host/hub").shown == "memory://host/hub"


def test_an_address_that_nothing_reads_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        open_place("nonsense://hub")
