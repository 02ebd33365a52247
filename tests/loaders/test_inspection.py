"""A store is described as it lies on the disk, and everything that is wrong with it is named, however damaged it is."""

import json
import shutil
from pathlib import Path

import pytest

from loaders.errors import StoreNotFound
from loaders.inspection import inspect_store
from loaders.manifest import check_files, read_manifest
from loaders.schema import GROUPED_TABLES, PARQUET_TABLES
from loaders.seal import is_intact, sealed
from loaders.store import Store
from loaders.workspace import Workspace

STORE = "stores/tiny-l0@texts"
KEYS = {
    *(
        "id",
        "schema_version",
        "generation",
        "created_at",
        "command",
        "versions",
        "granularity",
        "sae",
        "dataset",
        "model",
    ),
    *(
        "hook",
        "set",
        "layer_index",
        "samples",
        "features",
        "nnz",
        "fingerprints",
        "quality",
        "density",
        "bytes",
        "tables",
    ),
    *("loaders", "unlisted", "verified", "faults"),
}


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Path:
    """The store's directory in a workspace of its own, with its dataset and its SAE."""
    for part in (STORE, "datasets/texts", "saes/tiny-l0"):
        shutil.copytree(workspace.root / part, tmp_path / part)
    return tmp_path / STORE


def at_fault(directory: Path, verify: bool = True) -> set[str]:
    return {fault["file"] for fault in inspect_store(directory, verify)["faults"]}


def flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)


def test_the_report_says_what_the_store_itself_says(store: Store) -> None:
    report = inspect_store(store.directory, verify=True)
    assert report.keys() == KEYS
    assert (report["samples"], report["features"], report["nnz"]) == (
        store.samples,
        store.features,
        store.manifest["nnz"],
    )
    assert report["density"] == store.manifest["nnz"] / (store.samples * store.features)
    assert (report["generation"], report["fingerprints"]) == (store.generation, store.manifest["fingerprints"])
    assert {name: table["rows"] for name, table in report["tables"].items()} == {
        name: table["rows"] for name, table in store.manifest["tables"].items()
    }
    assert report["tables"].keys() == PARQUET_TABLES.keys() | GROUPED_TABLES.keys()
    assert {"csc", "batch_scan"} <= set(report["loaders"])
    assert (report["faults"], report["unlisted"]) == ([], [])
    json.dumps(report, allow_nan=False)


def test_the_parts_sum_to_the_bytes_on_the_disk(store: Store) -> None:
    sizes = inspect_store(store.directory)["bytes"]
    on_disk = {path: path.stat().st_size for path in store.directory.rglob("*") if path.is_file()}
    assert sizes["total"] == sum(on_disk.values())
    assert sizes["csc"] == sum(size for path, size in on_disk.items() if "features.zarr" in path.parts)
    assert sizes["batches"] == sum(size for path, size in on_disk.items() if "activations" in path.parts)
    assert sizes["tables"]["tokens"] == sum(size for path, size in on_disk.items() if path.name.startswith("tokens."))
    parts = [sizes[part] for part in ("batches", "csc", "dense", "per_feature", "other")]
    assert sum(parts) + sum(sizes["tables"].values()) == sizes["total"]


def test_a_table_states_the_settings_it_was_made_with(store: Store) -> None:
    settings = inspect_store(store.directory)["tables"]["neighbours"]["settings"]
    assert settings == {"top": 15}


def test_every_file_at_fault_is_named_not_only_the_first(copied: Path) -> None:
    (copied / "tables/tokens.arrow").unlink()
    (copied / "tables/map.parquet").write_bytes(b"short")
    flip(copied / "features.zarr/data/c/0", 40)
    flip(copied.parent.parent / "datasets/texts/vocab.json")
    assert at_fault(copied, verify=False) == {f"{STORE}/tables/tokens.arrow", f"{STORE}/tables/map.parquet"}
    assert at_fault(copied) == {
        f"{STORE}/tables/tokens.arrow",
        f"{STORE}/tables/map.parquet",
        f"{STORE}/features.zarr/data/c/0",
        "datasets/texts/vocab.json",
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"a": 1}, "fingerprints": 3}', "\x00", '{"files": []}'])
def test_a_store_with_a_ruined_manifest_is_still_described(copied: Path, content: str) -> None:
    (copied / "manifest.json").write_text(content)
    report = inspect_store(copied, verify=True)
    assert f"{STORE}/manifest.json" in {fault["file"] for fault in report["faults"]}
    assert report["samples"] is None
    assert report["bytes"]["csc"] > 0
    assert report["tables"]["stats"]["rows"] == 128
    assert "csc" in report["loaders"]


def test_an_unpublished_store_says_so(copied: Path) -> None:
    (copied / "manifest.json").unlink()
    faults = inspect_store(copied)["faults"]
    assert faults == [{"file": f"{STORE}/manifest.json", "what": "is missing: this store has not been published"}]


def test_a_changed_figure_in_the_manifest_is_found(copied: Path) -> None:
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["quality"]["fvu"] /= 2
    path.write_text(json.dumps(manifest))
    assert at_fault(copied) == {f"{STORE}/manifest.json"}


def test_a_manifest_that_contradicts_the_arrays_is_found_though_its_seal_fits(copied: Path) -> None:
    path = copied / "manifest.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), "samples": 7})))
    assert at_fault(copied, verify=False) == {f"{STORE}/manifest.json"}


def test_files_outside_of_the_store_are_never_opened(copied: Path) -> None:
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["../../../../etc/hostname"] = {"bytes": 1, "sha256": "0" * 64}
    path.write_text(json.dumps(sealed(manifest)))
    faults = inspect_store(copied, verify=True)["faults"]
    assert faults == [
        {
            "file": f"{STORE}/manifest.json",
            "what": "lists '../../../../etc/hostname', which lies outside of the directory",
        }
    ]


def test_a_swapped_dataset_and_a_swapped_sae_are_found(copied: Path) -> None:
    root = copied.parent.parent
    for place in (root / "datasets/texts/manifest.json", root / "saes/tiny-l0/cfg.json"):
        document = json.loads(place.read_text())
        prints = document if "fingerprint" in document else document["metadata"]["fingerprints"]
        prints["fingerprint" if "fingerprint" in document else "sae"] = "0" * 64
        place.write_text(json.dumps(document))
    assert at_fault(copied, verify=False) == {"datasets/texts/manifest.json", "saes/tiny-l0/cfg.json"}


def test_an_altered_weight_of_the_sae_is_found(copied: Path) -> None:
    flip(copied.parent.parent / "saes/tiny-l0/sae_weights.safetensors")
    assert at_fault(copied, verify=False) == set()
    assert at_fault(copied) == {"saes/tiny-l0/sae_weights.safetensors"}


def test_the_saes_fingerprint_is_the_one_that_its_writer_states(workspace: Workspace) -> None:
    for sae_id in workspace.sae_ids():
        record = workspace.sae(sae_id)
        assert record.fingerprint() == record.metadata["fingerprints"]["sae"]


def test_a_file_that_is_not_published_yet_is_listed_as_such(copied: Path) -> None:
    (copied / "tables/new.parquet").write_bytes(b"")
    (copied / "tables/other.parquet.tmp").write_bytes(b"")
    assert inspect_store(copied)["unlisted"] == ["tables/new.parquet"]


def test_a_seal_fits_its_manifest_only(store: Store) -> None:
    manifest = read_manifest(store.directory, "store")
    assert is_intact(manifest)
    assert not is_intact({**manifest, "samples": manifest["samples"] + 1})
    assert not is_intact({key: value for key, value in manifest.items() if key != "checksum"})
    check_files(store.directory, manifest, hashes=True)


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="There is no store at"):
        inspect_store(tmp_path / "stores/a@b")
