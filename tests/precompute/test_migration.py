"""Manifests of earlier versions are brought up to date step by step; newer ones are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import StoreDamaged, StoreNotFound
from loaders.manifest import read_manifest
from loaders.schema import SCHEMA_VERSION
from loaders.seal import is_intact
from loaders.workspace import Workspace
from precompute.migration import MIGRATIONS, NewerStore, Outcome, migrate

STORE = "tiny-l0@texts"


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    for part in (f"stores/{STORE}", "datasets/texts"):
        shutil.copytree(workspace.root / part, tmp_path / part)
    return Workspace(tmp_path)


def set_version(workspace: Workspace, version: Any) -> Path:
    path = workspace.store_dir(STORE) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": version}))
    return path


def rename_nnz(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Two versions ago `nnz` was called `active`, for this test."""
    assert directory.name == STORE
    return {"nnz" if key == "active" else key: value for key, value in manifest.items()}


def add_note(directory: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "note": f"had {manifest['nnz']}"}


def test_a_store_that_is_up_to_date_is_left_alone(copied: Workspace) -> None:
    path = copied.store_dir(STORE) / "manifest.json"
    before = path.read_bytes()
    assert migrate(copied.store_dir(STORE)) == Outcome(SCHEMA_VERSION, SCHEMA_VERSION)
    assert path.read_bytes() == before


def test_there_is_a_migration_from_every_version_before_this_one() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))


def test_a_store_goes_through_every_version_in_between(copied: Workspace) -> None:
    path = set_version(copied, -1)
    before = json.loads(path.read_text())
    path.write_text(json.dumps({"active" if key == "nnz" else key: value for key, value in before.items()}))
    outcome = migrate(copied.store_dir(STORE), {-1: rename_nnz, 0: add_note}, version=1)
    assert outcome == Outcome(-1, 1)
    after = read_manifest(copied.store_dir(STORE), "store")
    assert (after["nnz"], after["note"]) == (before["nnz"], f"had {before['nnz']}")
    assert after["generation"] == before["generation"] + 1
    assert after["files"] == before["files"]
    assert is_intact(after)
    assert copied.open_store(STORE).fingerprint == before["fingerprints"]["store"]


def test_a_failing_migration_leaves_the_manifest_as_it_was(copied: Workspace) -> None:
    path = set_version(copied, -1)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="No migration leads on from version 0"):
        migrate(copied.store_dir(STORE), {-1: add_note})
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(copied: Workspace) -> None:
    set_version(copied, 7)
    with pytest.raises(
        NewerStore, match=r"Store 'tiny-l0@texts' has version 7; this Loupe knows versions up to 1\. Update"
    ):
        migrate(copied.store_dir(STORE))


@pytest.mark.parametrize("version", [None, "1", True, 1.5])
def test_a_manifest_that_says_no_version_is_refused(copied: Workspace, version: object) -> None:
    set_version(copied, version)
    with pytest.raises(StoreDamaged, match="says no version"):
        migrate(copied.store_dir(STORE))


def test_a_manifest_that_is_no_json_or_missing_is_refused(copied: Workspace) -> None:
    path = copied.store_dir(STORE) / "manifest.json"
    path.write_text("{")
    with pytest.raises(StoreDamaged, match="not valid JSON"):
        migrate(copied.store_dir(STORE))
    path.unlink()
    with pytest.raises(StoreNotFound, match="has not been published"):
        migrate(copied.store_dir(STORE))
