"""The HTTP interface answers with the store's own numbers, in strict JSON, and refuses in one sentence."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from catalog.catalog import Catalog
from catalog.labels import get_label, history, put_label
from dashboard import api
from dashboard.api_activations import ARROW
from dashboard.api_json import plain
from loaders.schema import STATS
from loaders.store import Store
from loaders.workspace import Workspace

JSON_HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    yield opened
    opened.close()


def serve(workspace: Workspace, catalog: Catalog | None) -> FlaskClient:
    server = Flask("loupe")
    server.config["LOUPE"] = {"workspace": workspace, "catalog": catalog}
    api.register(server)
    server.add_url_rule("/<path:path>", "page", lambda path: "<html>the dashboard</html>")  # as Dash does
    return server.test_client()


@pytest.fixture
def client(workspace: Workspace, catalog: Catalog) -> FlaskClient:
    return serve(workspace, catalog)


@pytest.fixture
def base(store: Store) -> str:
    return f"/api/v1/stores/{store.id}"


@pytest.fixture
def living(store: Store) -> int:
    """The feature that fires most often."""
    return int(store.stats()["n"].to_numpy().argmax())


@pytest.fixture
def at(base: str, living: int) -> str:
    return f"{base}/features/{living}"


def strict(response: TestResponse) -> dict:
    """The body as JSON, in which NaN and Infinity are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert response.mimetype == "application/json"
    return json.loads(response.data, parse_constant=refuse)


def refusal(response: TestResponse, status: int) -> str:
    """The sentence of an error, whose form is checked."""
    body = strict(response)
    assert response.status_code == body["status"] == status
    assert "Traceback" not in body["error"]
    assert "\n" not in body["error"]
    return str(body["error"])


def test_health_counts_the_stores_and_names_the_version(client: FlaskClient, workspace: Workspace) -> None:
    body = strict(client.get("/api/v1/health"))
    assert (body["status"], body["stores"]) == ("ok", len(workspace.store_ids()))
    assert set(body) == {"status", "version", "stores"}


def test_health_fails_with_the_catalog(client: FlaskClient, catalog: Catalog, tmp_path: Path) -> None:
    catalog.close()
    (tmp_path / "catalog.sqlite").unlink()
    (tmp_path / "catalog.sqlite").mkdir()
    assert "cannot be used" in refusal(client.get("/api/v1/health"), 503)


def test_saes_carry_their_configuration_and_stores(client: FlaskClient, workspace: Workspace, store: Store) -> None:
    body = strict(client.get("/api/v1/saes"))
    assert [item["id"] for item in body["items"]] == workspace.sae_ids()
    assert body["total"] == len(workspace.sae_ids())
    own = next(item for item in body["items"] if item["id"] == store.sae_id)
    assert store.id in own["stores"]
    assert own["config"]["d_sae"] == store.features


def test_stores_carry_what_their_manifests_say(client: FlaskClient, workspace: Workspace, store: Store) -> None:
    body = strict(client.get("/api/v1/stores"))
    assert [item["id"] for item in body["items"]] == workspace.store_ids()
    assert body["total"] == len(workspace.store_ids())
    one = strict(client.get(f"/api/v1/stores/{store.id}"))
    assert one in body["items"]
    assert (one["samples"], one["features"], one["hook"]) == (store.samples, store.features, store.hook)
    assert one["fingerprints"]["sae"] == store.sae_fingerprint
    assert "files" not in one


def test_a_damaged_store_says_so_and_leaves_the_others_listed(
    workspace: Workspace, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    (copy.store_dir(store.id) / "tables" / "stats.parquet").unlink()
    client = serve(copy, catalog)
    items = {item["id"]: item for item in strict(client.get("/api/v1/stores"))["items"]}
    assert "is missing" in items[store.id]["error"]
    assert all("error" not in item for store_id, item in items.items() if store_id != store.id)
    assert "is missing" in refusal(client.get(f"/api/v1/stores/{store.id}"), 500)


def test_features_come_in_the_order_of_their_ids(client: FlaskClient, base: str, store: Store) -> None:
    body = strict(client.get(f"{base}/features?limit=1000"))
    assert [row["feature_id"] for row in body["items"]] == list(range(store.features))
    assert (body["total"], body["limit"], body["offset"]) == (store.features, 1000, 0)
    table = pd.DataFrame(body["items"])[STATS.names]
    np.testing.assert_allclose(table.to_numpy(np.float64), store.stats().to_numpy(np.float64), rtol=1e-6)


@pytest.mark.parametrize("column", STATS.names)
def test_features_sort_by_every_statistic_both_ways(client: FlaskClient, base: str, store: Store, column: str) -> None:
    values = store.stats()[column].tolist()
    for sort, sign in [(column, 1), (f"-{column}", -1)]:
        rows = strict(client.get(f"{base}/features", query_string={"sort": sort, "limit": 1000}))["items"]
        expected = sorted(range(store.features), key=lambda f: (sign * values[f], f))
        assert [row["feature_id"] for row in rows] == expected


def test_pages_of_features_join_to_the_whole(client: FlaskClient, base: str, store: Store) -> None:
    whole = strict(client.get(f"{base}/features?sort=-density&limit=1000"))["items"]
    half = store.features // 2 + 1
    parts = [strict(client.get(f"{base}/features?sort=-density&limit={half}&offset={start}")) for start in (0, half)]
    assert parts[0]["items"] + parts[1]["items"] == whole
    assert {part["total"] for part in parts} == {store.features}
    beyond = strict(client.get(f"{base}/features?offset={store.features}"))
    assert (beyond["items"], beyond["total"]) == ([], store.features)


def test_features_show_label_and_top_token(
    client: FlaskClient, base: str, store: Store, living: int, catalog: Catalog
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, living, "trees", "", "ada", None)
    rows = strict(client.get(f"{base}/features?limit=1000"))["items"]
    assert [row["label"] for row in rows] == ["trees" if f == living else None for f in range(store.features)]
    assert rows[living]["top_token"] == store.top_token_names(1)[living][0]


def test_an_unknown_sort_is_refused_with_the_names_that_exist(client: FlaskClient, base: str) -> None:
    sentence = refusal(client.get(f"{base}/features?sort=densty"), 400)
    assert "feature_id, n, density" in sentence
    assert "'densty'" in sentence


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=ten", "offset=-1", "offset=1e3"])
def test_a_page_that_cannot_be_is_refused(client: FlaskClient, base: str, query: str) -> None:
    name = query.split("=")[0]
    assert f"'{name}'" in refusal(client.get(f"{base}/features?{query}"), 400)


def test_a_feature_comes_with_everything_about_it(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = strict(client.get(at))
    assert (body["store"], body["feature_id"], body["samples"]) == (store.id, living, store.samples)
    values = store.activations(living).activations.astype(np.float64)
    assert body["stats"]["n"] == len(values)
    assert body["stats"]["density"] == pytest.approx(len(values) / store.samples)
    assert body["stats"]["mean"] == pytest.approx(values.mean())
    assert body["flags"] == {"is_dead": False, "is_dense": len(values) / store.samples >= 0.1}
    assert [row["token"] for row in body["top_tokens"]] == store.top_tokens(living, 20)["token"].tolist()
    assert body["label"] is None


def test_a_feature_shows_its_influences_and_neighbours(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = strict(client.get(at))
    influences = store.influences(living)
    assert body["influences"]["kind"] == influences.kind
    assert [row["token"] for row in body["influences"]["items"]] == influences.rows["token"].tolist()
    neighbours = store.neighbours(living)
    assert [row["feature_id"] for row in body["neighbours"]] == neighbours["neighbour"].tolist()
    assert [row["pearson"] for row in body["neighbours"]] == pytest.approx(neighbours["pearson"].tolist())


def test_tables_that_are_not_computed_yet_are_null(
    workspace: Workspace, store: Store, catalog: Catalog, living: int, tmp_path: Path
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    tables = copy.store_dir(store.id) / "tables"
    for path in tables.iterdir():
        if path.stem != "stats":
            path.unlink()
    manifest_path = copy.store_dir(store.id) / "manifest.json"
    manifest = json.loads(manifest_path.read_text())
    manifest["files"] = {name: entry for name, entry in manifest["files"].items() if (tables.parent / name).exists()}
    manifest_path.write_text(json.dumps(manifest))
    client = serve(copy, catalog)
    body = strict(client.get(f"/api/v1/stores/{store.id}/features/{living}"))
    assert (body["top_tokens"], body["influences"], body["neighbours"]) == (None, None, None)
    rows = strict(client.get(f"/api/v1/stores/{store.id}/features"))["items"]
    assert {row["top_token"] for row in rows} == {None}


def test_numbers_that_are_not_finite_become_null() -> None:
    given = {
        "a": np.array([1.5, np.nan, -np.inf], np.float32),
        "b": float("inf"),
        "c": np.float32("nan"),
        3: (np.int64(4),),
    }
    assert plain(given) == {"a": [1.5, None, None], "b": None, "c": None, "3": [4]}
    assert plain([np.bool_(True), None, "x", np.arange(2)]) == [True, None, "x", [0, 1]]


def test_activations_are_all_of_them_with_their_places(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = strict(client.get(f"{at}/activations?limit=100000"))
    found = store.activations(living)
    contexts, positions = store.dataset.locate(found.indices)
    assert body["indices"] == found.indices.tolist()
    assert body["activations"] == found.activations.tolist()
    assert (body["contexts"], body["positions"]) == (contexts.tolist(), positions.tolist())
    assert (body["total"], body["limit"], body["offset"], body["sampled"]) == (len(found.indices), 100_000, 0, False)


def test_a_part_of_the_activations_states_what_it_is(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = strict(client.get(f"{at}/activations?limit=2&offset=1"))
    found = store.activations(living)
    assert body["indices"] == found.indices[1:3].tolist()
    assert (body["total"], body["limit"], body["offset"]) == (len(found.indices), 2, 1)


def read_stream(response: TestResponse) -> pa.Table:
    assert response.mimetype == ARROW
    return pa.ipc.open_stream(response.data).read_all()


def test_the_arrow_stream_holds_every_activation(client: FlaskClient, at: str, store: Store, living: int) -> None:
    table = read_stream(client.get(f"{at}/activations.arrow"))
    found = store.activations(living)
    assert [(field.name, field.type) for field in table.schema] == [
        ("sample_index", pa.uint32()),
        ("activation", pa.float32()),
    ]
    np.testing.assert_array_equal(table["sample_index"].to_numpy(), found.indices)
    np.testing.assert_array_equal(table["activation"].to_numpy(), found.activations)
    assert table.schema.metadata[b"feature_id"] == str(living).encode()
    assert table.schema.metadata[b"total"] == str(len(found.indices)).encode()


def test_an_accept_header_chooses_the_arrow_stream(client: FlaskClient, at: str) -> None:
    streamed = client.get(f"{at}/activations", headers={"Accept": ARROW})
    assert read_stream(streamed) == read_stream(client.get(f"{at}/activations.arrow"))
    assert streamed.headers["Vary"] == "Accept"
    for accepted in ("*/*", "application/json", "text/html"):
        assert client.get(f"{at}/activations", headers={"Accept": accepted}).mimetype == "application/json"


def test_a_part_of_the_arrow_stream_can_be_asked_for(client: FlaskClient, at: str, store: Store, living: int) -> None:
    table = read_stream(client.get(f"{at}/activations.arrow?limit=2&offset=1"))
    assert table["sample_index"].to_pylist() == store.activations(living).indices[1:3].tolist()


def test_a_dead_feature_has_an_empty_stream_and_is_flagged(
    workspace: Workspace, base: str, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    indptr_file = copy.store_dir(store.id) / "features.zarr" / "indptr" / "c" / "0"
    indptr = np.memmap(indptr_file, np.int64, mode="r+", shape=(store.features + 1,))
    indptr[3] = indptr[4]  # feature 3 loses its activations to feature 2
    indptr.flush()
    client = serve(copy, catalog)
    assert read_stream(client.get(f"{base}/features/3/activations.arrow")).num_rows == 0
    assert strict(client.get(f"{base}/features/3/activations"))["indices"] == []
    body = strict(client.get(f"{base}/features/3"))
    assert body["flags"] == {"is_dead": True, "is_dense": False}
    assert (body["stats"]["n"], body["stats"]["density"], body["top_tokens"]) == (0, 0, [])


def test_a_label_is_saved_with_its_author_and_read_back(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    before = strict(client.get(f"{at}/label"))
    assert (before["version"], before["name"], before["notes"]) == (None, "", "")
    client.set_cookie("loupe_author", "Ada%20L.")
    sent = {"name": " <script>alert(1)</script> ", "notes": "two\nlines", "replaces": None}
    saved = strict(client.put(f"{at}/label", json=sent))
    assert (saved["version"], saved["name"], saved["notes"]) == (1, "<script>alert(1)</script>", "two\nlines")
    assert (saved["author"], saved["feature_id"], saved["replaces"]) == ("Ada L.", living, None)
    assert datetime.fromisoformat(saved["created_at"]).tzinfo is not None
    assert strict(client.get(f"{at}/label")) == saved
    assert strict(client.get(at))["label"]["name"] == saved["name"]
    stored = get_label(catalog, store.sae_fingerprint, living)
    assert stored is not None
    assert stored.name == saved["name"]


def test_an_author_without_a_usable_cookie_is_anonymous(client: FlaskClient, at: str) -> None:
    assert strict(client.put(f"{at}/label", json={"name": "a"}))["author"] == "anonymous"
    client.set_cookie("loupe_author", "%00%0A%20")
    assert strict(client.put(f"{at}/label", json={"name": "b", "replaces": 1}))["author"] == "anonymous"
    client.set_cookie("loupe_author", "x" * 300)
    assert strict(client.put(f"{at}/label", json={"name": "c", "replaces": 2}))["author"] == "x" * 100


def test_a_stale_edit_is_answered_with_both_texts(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    client.put(f"{at}/label", json={"name": "trees"})
    response = client.put(f"{at}/label", json={"name": "nodes", "notes": "mine"})
    assert "saved version 1" in refusal(response, 409)
    body = strict(response)
    assert (body["current"]["name"], body["current"]["version"]) == ("trees", 1)
    assert (body["submitted"]["name"], body["submitted"]["notes"]) == ("nodes", "mine")
    assert len(history(catalog, store.sae_fingerprint, living)) == 1


def test_a_cleared_label_is_no_label_but_keeps_its_version(client: FlaskClient, at: str) -> None:
    client.put(f"{at}/label", json={"name": "trees"})
    assert strict(client.put(f"{at}/label", json={"name": "", "replaces": 1}))["version"] == 2
    assert strict(client.get(at))["label"] is None
    assert strict(client.get(f"{at}/label"))["version"] == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"name": "x" * 100_000}, "at most 200 characters: found 100,000"),
        ({"name": "x", "notes": "y" * 100_000}, "at most 10,000 characters: found 100,000"),
        ({"name": "x\x00"}, "control characters"),
        ({"name": 7}, 'with a "name"'),
        ({"notes": "y"}, 'with a "name"'),
        (["name"], 'with a "name"'),
        ({"name": "x", "notes": None}, "'notes' must be a text"),
        ({"name": "x", "replaces": "1"}, "'replaces' must be the version"),
        ({"name": "x", "replaces": True}, "'replaces' must be the version"),
        ({"name": "x", "replaces": 4}, "Version 4 of this label does not exist"),
        ({"name": "x", "author": "me"}, "found 'author'"),
    ],
)
def test_a_label_that_cannot_be_is_refused(client: FlaskClient, at: str, sent: object, words: str) -> None:
    assert words in refusal(client.put(f"{at}/label", json=sent), 400)
    assert strict(client.get(f"{at}/label"))["version"] is None


def test_a_body_that_is_not_json_is_refused(client: FlaskClient, at: str) -> None:
    assert "Content-Type" in refusal(client.put(f"{at}/label", data="name=trees"), 415)
    assert "not valid JSON" in refusal(client.put(f"{at}/label", data='{"name":', headers=JSON_HEADERS), 400)
    large = json.dumps({"name": "x" * 2**21})
    assert "too large" in refusal(client.put(f"{at}/label", data=large, headers=JSON_HEADERS), 413)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://localhost.elsewhere.example"])
def test_a_label_saved_by_another_sites_page_is_refused(client: FlaskClient, at: str, origin: str) -> None:
    refusal(client.put(f"{at}/label", json={"name": "trees"}, headers={"Origin": origin}), 403)
    assert strict(client.get(f"{at}/label"))["version"] is None


@pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
def test_a_label_saved_by_the_dashboards_own_page_is_taken(client: FlaskClient, at: str, origin: str) -> None:
    saved = client.put(f"{at}/label", json={"name": "trees"}, headers={"Origin": origin})
    assert saved.status_code == 200


@pytest.mark.parametrize("part", ["", "/activations", "/activations.arrow", "/label"])
@pytest.mark.parametrize("feature", ["100000", "-1", "trees", "1.5", "99999999999999999999"])
def test_a_feature_that_does_not_exist_is_not_found(client: FlaskClient, base: str, feature: str, part: str) -> None:
    assert "feature" in refusal(client.get(f"{base}/features/{feature}{part}"), 404).lower()


@pytest.mark.parametrize("part", ["", "/features", "/features/1", "/features/1/activations", "/features/1/label"])
@pytest.mark.parametrize("store_id", ["nothing@docs", "nothing", "..", "UPPER@docs"])
def test_a_store_that_does_not_exist_is_not_found(client: FlaskClient, store_id: str, part: str) -> None:
    assert store_id in refusal(client.get(f"/api/v1/stores/{store_id}{part}"), 404)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v2/health", "/api/v1/store", "/api/v1/health/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_an_unknown_address_is_not_found_instead_of_the_dashboard(client: FlaskClient, path: str, method: str) -> None:
    assert "docs/api.md" in refusal(client.open(path, method=method), 404)


def test_a_method_that_an_address_lacks_names_those_it_has(client: FlaskClient, at: str) -> None:
    response = client.post(f"{at}/label", json={})
    assert "use GET, PUT" in refusal(response, 405)
    assert response.headers["Allow"] == "GET, PUT"
    assert "use GET" in refusal(client.delete("/api/v1/health"), 405)
    assert client.options("/api/v1/health").headers["Allow"] == "GET"


def test_an_unforeseen_error_shows_no_trace(workspace: Workspace, at: str, caplog: pytest.LogCaptureFixture) -> None:
    client = serve(workspace, None)  # a server without catalog is a programming error
    sentence = refusal(client.get(at), 500)
    assert sentence == "Something went wrong; the server's log has the details."
    assert "AttributeError" in caplog.text


def test_a_broken_catalog_is_unavailable(client: FlaskClient, at: str, catalog: Catalog) -> None:
    with catalog.write() as session:
        session.execute(text("drop table labels"))
    assert "cannot be used" in refusal(client.get(f"{at}/label"), 503)


def test_a_body_that_nests_too_deeply_is_refused(client: FlaskClient, base: str) -> None:
    answered = client.put(f"{base}/features/0/label", data="[" * 200_000, headers=JSON_HEADERS)
    assert answered.status_code == 400
    assert "nests too deeply" in answered.get_json()["error"]


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
