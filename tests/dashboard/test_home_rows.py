"""Home lists every SAE, whichever step of the pipeline it has reached."""

from datetime import UTC, datetime
from pathlib import Path

from catalog.catalog import Catalog
from catalog.runs import runs, start_run, update_run
from dashboard.home_rows import collect_sets
from loaders.workspace import Workspace


def test_finished_saes_are_listed_by_set_in_layer_order_with_their_quality(workspace: Workspace) -> None:
    (found,) = collect_sets(workspace, [])
    assert found.id == "tiny" and "/" not in found.model
    assert [row.store for row in found.rows] == ["tiny-l0@texts", "tiny-l1@texts"]
    assert all(row.is_ready and row.state == "ready" for row in found.rows)
    for row in found.rows:
        manifest = workspace.open_store(str(row.store)).manifest
        assert (row.features, row.samples, row.quality) == (
            manifest["features"],
            manifest["samples"],
            manifest["quality"],
        )


def test_a_trained_sae_without_a_store_is_listed_without_a_link(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "saes").symlink_to(workspace.root / "saes")
    (found,) = collect_sets(Workspace(tmp_path), [])
    assert [(row.sae, row.store) for row in found.rows] == [("tiny-l0", None), ("tiny-l1", None)]
    assert found.rows[0].quality["fvu"] == workspace.sae("tiny-l0").metadata["quality"]["fvu"]


def test_an_sae_in_training_is_listed_with_its_step(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    config = {"set_id": "tiny", "hook": "encoder.layer.0", "layer_index": 0, "model_id": "m", "dataset_id": "d"}
    start_run(catalog, "tiny-l0", "tiny-l0", config, total_steps=400)
    update_run(catalog, "tiny-l0", 120, {"fvu": 0.5}, now=datetime.now(UTC))
    (found,) = collect_sets(Workspace(tmp_path), runs(catalog))
    assert [(row.sae, row.state) for row in found.rows] == [("tiny-l0", "training, step 120 of 400")]
    catalog.close()


def test_an_empty_workspace_lists_nothing(tmp_path: Path) -> None:
    assert collect_sets(Workspace(tmp_path), []) == []


def test_saes_that_stand_alone_share_one_table_for_each_model_and_dataset(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    for name, model in (("b", "m"), ("a", "m"), ("c", "n")):
        start_run(catalog, name, name, {"model_id": model, "dataset_id": "d"}, total_steps=400)
    found = collect_sets(Workspace(tmp_path), runs(catalog))
    assert {(one.id, one.model): [row.sae for row in one.rows] for one in found} == {
        (None, "m"): ["a", "b"],
        (None, "n"): ["c"],
    }
    catalog.close()
