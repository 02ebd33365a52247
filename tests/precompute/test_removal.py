"""Removal is one rename, never from under what depends on it; collection takes what stopped steps left and no more."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.labels import get_label, put_label
from loaders.errors import BadInput, StoreDamaged, StoreNotFound
from loaders.inspection import inspect_store
from loaders.manifest import read_manifest
from loaders.workspace import Workspace
from precompute import publish, removal
from precompute.progress import Progress
from precompute.removal import StillNeeded
from precompute.sample_blocks import SampleBlocks

STORE = "tiny-l0@texts"


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The session's workspace without its models."""
    for kind in ("stores", "datasets", "saes", "layers", "activations"):
        shutil.copytree(workspace.root / kind, tmp_path / kind)
    return Workspace(tmp_path)


def take_away(workspace: Workspace, *names: str) -> None:
    found = removal.find(workspace, list(names))
    removal.require_unneeded(workspace, found)
    removal.remove(found)


def test_a_dataset_that_stores_and_activations_use_is_kept_and_they_are_named(copied: Workspace) -> None:
    with pytest.raises(StillNeeded) as refused:
        take_away(copied, "datasets/texts")
    for user in ("stores/tiny-l0@texts", "stores/tiny-l1@texts", "activations/tiny/texts"):
        assert user in str(refused.value)
    assert copied.open_store(STORE)


def test_an_sae_that_a_store_and_a_layer_set_use_is_kept_and_they_are_named(copied: Workspace) -> None:
    with pytest.raises(StillNeeded, match=r"'saes/tiny-l0' is needed by stores/tiny-l0@texts, layers/tiny\. Remove"):
        take_away(copied, "saes/tiny-l0")


def test_a_matched_store_is_kept(copied: Workspace) -> None:
    with pytest.raises(StillNeeded, match="'stores/tiny-l0@texts' is needed by layers/tiny"):
        take_away(copied, f"stores/{STORE}")


def test_a_store_whose_manifest_is_gone_still_holds_what_it_was_made_from(copied: Workspace) -> None:
    take_away(copied, "layers/tiny", "stores/tiny-l1@texts", "activations/tiny")
    (copied.store_dir(STORE) / "manifest.json").write_text("{")
    with pytest.raises(StillNeeded, match="'datasets/texts' is needed by stores/tiny-l0@texts"):
        take_away(copied, "datasets/texts")


def test_what_depends_on_each_other_goes_together(copied: Workspace) -> None:
    take_away(
        copied, "datasets/texts", "activations/tiny", "stores/tiny-l0@texts", "stores/tiny-l1@texts", "layers/tiny"
    )
    assert copied.store_ids() == []
    assert [path for path in copied.root.rglob("*") if path.is_file() and "saes" not in path.parts] == []
    assert copied.sae_ids() == ["tiny-l0", "tiny-l1"]


def test_one_hook_point_goes_and_the_other_stays(copied: Workspace) -> None:
    take_away(copied, "activations/tiny/texts/encoder.layer.0")
    assert [path.name for path in (copied.root / "activations/tiny/texts").iterdir()] == ["encoder.layer.1"]


def test_an_open_store_stays_readable_while_it_is_removed(copied: Workspace) -> None:
    store = copied.open_store(STORE)
    wanted = [store.activations(feature) for feature in range(store.features)]
    wanted = [(np.array(found.indices), np.array(found.activations)) for found in wanted]
    removal.remove(removal.find(copied, [f"stores/{STORE}"]))
    assert copied.store_ids() == ["tiny-l1@texts"]
    assert not (copied.root / "stores/.removed").exists()
    for feature, (indices, activations) in enumerate(wanted):
        np.testing.assert_array_equal(store.activations(feature).indices, indices)
        np.testing.assert_array_equal(store.activations(feature).activations, activations)


def test_labels_outlive_their_store(copied: Workspace) -> None:
    catalog = Catalog(f"sqlite:///{copied.root / 'catalog.sqlite'}")
    fingerprint = copied.open_store(STORE).sae_fingerprint
    put_label(catalog, "tiny-l0", fingerprint, 3, "brackets", "", "ada", None)
    removal.remove(removal.find(copied, [f"stores/{STORE}", "saes/tiny-l0"]))
    label = get_label(catalog, fingerprint, 3)
    assert label is not None and label.name == "brackets"


def write_advice(workspace: Workspace, *names: str) -> None:
    (workspace.root / "advice").mkdir(exist_ok=True)
    for name in names:
        (workspace.root / "advice" / name).write_text("{}")


def advice_left(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.root / "advice").iterdir())


def test_a_recommendation_goes_by_its_name_alone(copied: Workspace) -> None:
    write_advice(copied, "tiny@texts.json", "tiny@other.json")
    take_away(copied, "advice/tiny@texts")
    assert advice_left(copied) == ["tiny@other.json"]
    with pytest.raises(StoreNotFound, match=r"There is no 'advice/tiny@texts' in this workspace \(there: tiny@other\)"):
        take_away(copied, "advice/tiny@texts")


def test_recommendations_go_with_the_dataset_that_they_were_measured_on(copied: Workspace) -> None:
    write_advice(copied, "tiny@texts.json", "another@texts.json", "tiny@other.json")
    users = ["activations/tiny", "stores/tiny-l0@texts", "stores/tiny-l1@texts", "layers/tiny"]
    found = removal.find(copied, ["datasets/texts", "advice/tiny@texts", *users])
    assert [each.name for each in found if each.name.startswith("advice/")] == [
        "advice/tiny@texts",
        "advice/another@texts",
    ]
    removal.require_unneeded(copied, found)
    removal.remove(found)
    assert advice_left(copied) == ["tiny@other.json"]


def test_a_half_written_recommendation_is_a_leftover(copied: Workspace) -> None:
    write_advice(copied, ".tiny@texts.json.partial", "tiny@texts.json")
    removal.sweep(copied, removal.collect(copied))
    assert advice_left(copied) == ["tiny@texts.json"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "stores",
            "stores/",
            "/",
            "stores/../saes",
            "stores/..",
            "../stores/a",
            "stores//a",
            "catalog.sqlite",
            "models/x",
        ),
        *("stores/a@b/tables", "datasets/.", "/etc", "stores/.removed", "activations/a/b/c/d", "activations/../stores"),
    ],
)
def test_what_names_nothing_of_the_workspace_is_refused(copied: Workspace, name: str) -> None:
    with pytest.raises(BadInput, match="names nothing that can be removed"):
        removal.find(copied, [name])


def test_what_is_not_there_is_said_with_what_is(copied: Workspace) -> None:
    with pytest.raises(StoreNotFound, match=r"There is no 'saes/gone' in this workspace \(there: tiny-l0, tiny-l1\)"):
        removal.find(copied, ["saes/gone"])


def test_a_link_is_not_followed_out_of_the_workspace(
    copied: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (copied.root / "datasets/linked").symlink_to(elsewhere)
    with pytest.raises(StoreNotFound, match="There is no 'datasets/linked'"):
        removal.find(copied, ["datasets/linked"])
    assert elsewhere.is_dir()


def test_leftovers_go_and_nothing_else(copied: Workspace) -> None:
    before = {path for path in copied.root.rglob("*") if path.is_file()}
    for name in (
        "stores/tiny-l0@texts/features.zarr.tmp/zarr.json",
        "datasets/.other.partial/vocab.json",
        "layers/s.tmp/plan",
    ):
        (copied.root / name).parent.mkdir(parents=True)
        (copied.root / name).write_text("left")
    found = removal.collect(copied)
    assert len(found) == 3
    removal.sweep(copied, found)
    assert {path for path in copied.root.rglob("*") if path.is_file()} == before
    assert removal.collect(copied) == []


def test_unpublished_stores_go_only_when_asked(copied: Workspace) -> None:
    (copied.store_dir(STORE) / "manifest.json").unlink()
    assert removal.collect(copied) == []
    found = removal.collect(copied, unpublished=True)
    assert [left.path.name for left in found] == [STORE]
    removal.sweep(copied, found)
    assert not copied.store_dir(STORE).exists()
    assert copied.store_ids() == ["tiny-l1@texts"]


def test_batches_leave_the_manifest_and_the_store_stays_whole(copied: Workspace) -> None:
    directory, before = copied.store_dir(STORE), copied.open_store(STORE)
    removal.sweep(copied, removal.collect(copied, batches=True))
    after = copied.open_store(STORE)
    assert after.generation == before.generation + 1
    assert after.fingerprint == before.fingerprint
    assert not (directory / "activations").exists()
    report = inspect_store(directory, verify=True)
    assert (report["faults"], report["loaders"], report["bytes"]["batches"]) == ([], ["csc"], 0)
    np.testing.assert_array_equal(after.activations(9).activations, before.activations(9).activations)
    with pytest.raises(StoreNotFound, match="no batches of activations"):
        SampleBlocks.open(directory)
    publish.run(publish.Config(STORE), copied, Progress())
    assert copied.open_store(STORE).generation == after.generation, "nothing was added, so nothing is published"
    assert removal.collect(copied, batches=True) == []


def test_batches_stay_where_the_transposed_activations_are_damaged(copied: Workspace) -> None:
    directory = copied.store_dir(STORE)
    path = directory / "features.zarr/data/c/0"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    before = read_manifest(directory, "store")
    with pytest.raises(
        StoreDamaged, match=r"The batches of 'tiny-l0@texts' are kept: .*features.zarr/data/c/0 is altered"
    ):
        removal.sweep(copied, removal.collect(copied, batches=True))
    assert read_manifest(directory, "store") == before
    assert (directory / "activations/batch_0000.zarr/data/c/0").exists()


def test_a_collection_that_was_killed_after_the_manifest_is_finished_by_the_next(copied: Workspace) -> None:
    directory = copied.store_dir(STORE)
    publish.withdraw(directory, "activations")
    assert (directory / "activations").exists()
    copied.open_store(STORE)
    removal.sweep(copied, removal.collect(copied, batches=True))
    assert not (directory / "activations").exists()
    assert inspect_store(directory, verify=True)["faults"] == []
