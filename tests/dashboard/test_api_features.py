"""Features over HTTP: the sorted table with its parts, and everything about one feature, as the store itself says it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.labels import put_label
from loaders.schema import STATS
from loaders.store import Store
from loaders.workspace import Workspace


def test_features_come_in_the_order_of_their_ids(client: FlaskClient, base: str, store: Store) -> None:
    body = client.get(f"{base}/features?limit=1000").strict()
    assert [row["feature_id"] for row in body["items"]] == list(range(store.features))
    assert (body["total"], body["limit"], body["offset"]) == (store.features, 1000, 0)
    table = pd.DataFrame(body["items"])[STATS.names]
    np.testing.assert_allclose(table.to_numpy(np.float64), store.stats().to_numpy(np.float64), rtol=1e-6)


@pytest.mark.parametrize("column", STATS.names)
def test_features_sort_by_every_statistic_both_ways(client: FlaskClient, base: str, store: Store, column: str) -> None:
    values = store.stats()[column].tolist()
    for sort, sign in [(column, 1), (f"-{column}", -1)]:
        rows = client.get(f"{base}/features", query_string={"sort": sort, "limit": 1000}).strict()["items"]
        expected = sorted(range(store.features), key=lambda f: (sign * values[f], f))
        assert [row["feature_id"] for row in rows] == expected


def test_pages_of_features_join_to_the_whole(client: FlaskClient, base: str, store: Store) -> None:
    whole = client.get(f"{base}/features?sort=-density&limit=1000").strict()["items"]
    half = store.features // 2 + 1
    parts = [client.get(f"{base}/features?sort=-density&limit={half}&offset={start}").strict() for start in (0, half)]
    assert parts[0]["items"] + parts[1]["items"] == whole
    assert {part["total"] for part in parts} == {store.features}
    beyond = client.get(f"{base}/features?offset={store.features}").strict()
    assert (beyond["items"], beyond["total"]) == ([], store.features)


def test_features_show_label_and_top_token(
    client: FlaskClient, base: str, store: Store, living: int, catalog: Catalog
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, living, "trees", "", "ada", None)
    rows = client.get(f"{base}/features?limit=1000").strict()["items"]
    assert [row["label"] for row in rows] == ["trees" if f == living else None for f in range(store.features)]
    assert rows[living]["top_token"] == store.top_token_names(1)[living][0]


def test_an_unknown_sort_is_refused_with_the_names_that_exist(client: FlaskClient, base: str) -> None:
    sentence = client.get(f"{base}/features?sort=densty").refusal(400)
    assert "feature_id, n, density" in sentence
    assert "'densty'" in sentence


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=ten", "offset=-1", "offset=1e3"])
def test_a_page_that_cannot_be_is_refused(client: FlaskClient, base: str, query: str) -> None:
    name = query.split("=")[0]
    assert f"'{name}'" in client.get(f"{base}/features?{query}").refusal(400)


def test_a_feature_comes_with_everything_about_it(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = client.get(at).strict()
    assert (body["store"], body["feature_id"], body["samples"]) == (store.id, living, store.samples)
    values = store.activations(living).activations.astype(np.float64)
    assert body["stats"]["n"] == len(values)
    assert body["stats"]["density"] == pytest.approx(len(values) / store.samples)
    assert body["stats"]["mean"] == pytest.approx(values.mean())
    assert body["flags"] == {"is_dead": False, "is_dense": len(values) / store.samples >= 0.1}
    assert [row["token"] for row in body["top_tokens"]] == store.top_tokens(living, 20)["token"].tolist()
    assert body["label"] is None


def test_a_feature_shows_its_influences_and_neighbours(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = client.get(at).strict()
    influences = store.influences(living)
    assert body["influences"]["kind"] == influences.kind
    assert [row["token"] for row in body["influences"]["items"]] == influences.rows["token"].tolist()
    neighbours = store.neighbours(living)
    assert [row["feature_id"] for row in body["neighbours"]] == neighbours["neighbour"].tolist()
    assert [row["pearson"] for row in body["neighbours"]] == pytest.approx(neighbours["pearson"].tolist())


def test_tables_that_are_not_computed_yet_are_null(
    serve: Callable[..., FlaskClient],
    workspace: Workspace,
    store: Store,
    catalog: Catalog,
    living: int,
    tmp_path: Path,
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
    body = client.get(f"/api/v1/stores/{store.id}/features/{living}").strict()
    assert (body["top_tokens"], body["influences"], body["neighbours"]) == (None, None, None)
    rows = client.get(f"/api/v1/stores/{store.id}/features").strict()["items"]
    assert {row["top_token"] for row in rows} == {None}


def test_a_dead_feature_has_an_empty_stream_and_is_flagged(
    serve: Callable[..., FlaskClient],
    workspace: Workspace,
    base: str,
    store: Store,
    catalog: Catalog,
    tmp_path: Path,
) -> None:
    copy = Workspace(shutil.copytree(workspace.root, tmp_path / "copy"))
    indptr_file = copy.store_dir(store.id) / "features.zarr" / "indptr" / "c" / "0"
    indptr = np.memmap(indptr_file, np.int64, mode="r+", shape=(store.features + 1,))
    indptr[3] = indptr[4]  # feature 3 loses its activations to feature 2
    indptr.flush()
    client = serve(copy, catalog)
    assert pa.ipc.open_stream(client.get(f"{base}/features/3/activations.arrow").data).read_all().num_rows == 0
    assert client.get(f"{base}/features/3/activations").strict()["indices"] == []
    body = client.get(f"{base}/features/3").strict()
    assert body["flags"] == {"is_dead": True, "is_dense": False}
    assert (body["stats"]["n"], body["stats"]["density"], body["top_tokens"]) == (0, 0, [])
