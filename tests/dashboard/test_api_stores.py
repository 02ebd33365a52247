"""Health, SAEs and stores over HTTP: what there is, and one sentence for what is not or is damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from loaders.store import Store
from loaders.workspace import Workspace


def test_health_counts_the_stores_and_names_the_version(client: FlaskClient, workspace: Workspace) -> None:
    body = client.get("/api/v1/health").strict()
    assert (body["status"], body["stores"]) == ("ok", len(workspace.store_ids()))
    assert set(body) == {"status", "version", "stores"}


def test_health_fails_with_the_catalog(client: FlaskClient, catalog: Catalog, tmp_path: Path) -> None:
    catalog.close()
    (tmp_path / "catalog.sqlite").unlink()
    (tmp_path / "catalog.sqlite").mkdir()
    assert "cannot be used" in client.get("/api/v1/health").refusal(503)


def test_saes_carry_their_configuration_and_stores(client: FlaskClient, workspace: Workspace, store: Store) -> None:
    body = client.get("/api/v1/saes").strict()
    assert [item["id"] for item in body["items"]] == workspace.sae_ids()
    assert body["total"] == len(workspace.sae_ids())
    own = next(item for item in body["items"] if item["id"] == store.sae_id)
    assert store.id in own["stores"]
    assert own["config"]["d_sae"] == store.features


def test_stores_carry_what_their_manifests_say(client: FlaskClient, workspace: Workspace, store: Store) -> None:
    body = client.get("/api/v1/stores").strict()
    assert [item["id"] for item in body["items"]] == workspace.store_ids()
    assert body["total"] == len(workspace.store_ids())
    one = client.get(f"/api/v1/stores/{store.id}").strict()
    assert one in body["items"]
    assert (one["samples"], one["features"], one["hook"]) == (store.samples, store.features, store.hook)
    assert one["fingerprints"]["sae"] == store.sae_fingerprint
    assert "files" not in one
    assert one["has_weights"] is True


def test_a_damaged_store_says_so_and_leaves_the_others_listed(
    serve: Callable[..., FlaskClient], workspace: Workspace, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    (copy.store_dir(store.id) / "tables" / "stats.parquet").unlink()
    client = serve(copy, catalog)
    items = {item["id"]: item for item in client.get("/api/v1/stores").strict()["items"]}
    assert "is missing" in items[store.id]["error"]
    assert all("error" not in item for store_id, item in items.items() if store_id != store.id)
    assert "is missing" in client.get(f"/api/v1/stores/{store.id}").refusal(500)


@pytest.mark.parametrize("part", ["", "/features", "/features/1", "/features/1/activations", "/features/1/label"])
@pytest.mark.parametrize("store_id", ["nothing@docs", "nothing", "..", "UPPER@docs"])
def test_a_store_that_does_not_exist_is_not_found(client: FlaskClient, store_id: str, part: str) -> None:
    assert store_id in client.get(f"/api/v1/stores/{store_id}{part}").refusal(404)


def test_a_model_in_a_local_folder_is_named_without_the_place_of_the_folder(client: FlaskClient, store: Store) -> None:
    assert Path(store.manifest["model"]).is_absolute()
    listed = client.get("/api/v1/stores").get_json()["items"]
    assert {item["model"] for item in listed} == {"tiny"}
    trained = client.get("/api/v1/saes").get_json()["items"]
    assert {item["metadata"]["model_name"] for item in trained} == {"tiny"}


def test_a_very_long_store_id_is_not_echoed_whole(client: FlaskClient) -> None:
    for store_id in ("a" * 3_000, "a@" + "b" * 3_000):
        answered = client.get(f"/api/v1/stores/{store_id}")
        assert answered.status_code == 404
        assert len(answered.get_json()["error"]) < 300
