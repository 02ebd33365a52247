"""The activation server: the dashboard's interface without Dash, and short addresses that mean one store."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from dashboard.api_server import SHORT, create_api_server
from loaders.errors import StoreNotFound
from loaders.store import Store
from loaders.workspace import Workspace

Ask = Callable[[Flask], FlaskClient]
WITHOUT_DASH = """
import sys
from dashboard.api_server import SHORT, create_api_server
from catalog.catalog import Catalog
from loaders.workspace import Workspace
client = create_api_server(Workspace(sys.argv[1]), sys.argv[2], Catalog(sys.argv[3])).test_client()
for path in SHORT:
    assert client.get(path.format(feature=1, context=1)).status_code == 200, path
print(sorted({"dash", "plotly", "torch", "transformers"} & sys.modules.keys()))
"""


@pytest.fixture
def short(workspace: Workspace, store: Store, catalog: Catalog, ask: Ask) -> FlaskClient:
    """A server that was told which store the short addresses mean."""
    return ask(create_api_server(workspace, store.id, catalog))


def only(workspace: Workspace, tmp_path: Path, *stores: str) -> Workspace:
    """The same workspace with no stores but these."""
    root = tmp_path / "only"
    (root / "stores").mkdir(parents=True)
    for name in ("datasets", "saes"):
        (root / name).symlink_to(workspace.root / name)
    for store_id in stores:
        (root / "stores" / store_id).symlink_to(workspace.store_dir(store_id))
    return Workspace(root)


@pytest.mark.parametrize("path", SHORT)
def test_a_short_address_answers_as_the_one_that_it_stands_for(
    short: FlaskClient, store: Store, living: int, path: str
) -> None:
    ids = {"store_id": store.id, "feature": living, "context": 3}
    answered, wanted = short.get(path.format(**ids)), short.get(SHORT[path].format(**ids))
    assert (answered.status_code, answered.data) == (200, wanted.data)


def test_short_addresses_take_the_parameters_of_the_long_ones(short: FlaskClient, store: Store, living: int) -> None:
    found = store.activations(living)
    assert short.get(f"/activations/{living}?limit=2").strict()["indices"] == found.indices[:2].tolist()
    table = pa.ipc.open_stream(short.get(f"/activations/{living}/arrow?limit=2&offset=1").data).read_all()
    assert table["sample_index"].to_pylist() == found.indices[1:3].tolist()
    assert "'limit'" in short.get(f"/activations/{living}?limit=0").refusal(400)
    assert "no parameter 'limits'" in short.get("/features?limits=3").refusal(400)


def test_the_only_store_needs_no_name(
    workspace: Workspace, store: Store, catalog: Catalog, ask: Ask, tmp_path: Path
) -> None:
    client = ask(create_api_server(only(workspace, tmp_path, store.id), catalog=catalog))
    assert client.get("/activations/0").strict()["store"] == store.id


def test_several_stores_are_named_where_a_short_address_could_mean_each(
    workspace: Workspace, catalog: Catalog, ask: Ask
) -> None:
    client = ask(create_api_server(workspace, catalog=catalog))
    said = client.get("/context/vocab").refusal(409)
    assert all(store_id in said for store_id in workspace.store_ids())
    assert "--store" in said
    assert client.get("/health").strict()["stores"] == len(workspace.store_ids())


def test_a_workspace_without_stores_says_so(workspace: Workspace, catalog: Catalog, ask: Ask, tmp_path: Path) -> None:
    client = ask(create_api_server(only(workspace, tmp_path), catalog=catalog))
    assert "no store yet" in client.get("/features").refusal(404)


def test_a_store_that_is_not_there_starts_no_server(workspace: Workspace, catalog: Catalog) -> None:
    for store_id in ("none@texts", "../stores", "x"):
        with pytest.raises(StoreNotFound):
            create_api_server(workspace, store_id, catalog)


@pytest.mark.parametrize("path", ["/x", "/features/1/2", "/api", "/api/v1/x", "/explorer", "/activations"])
def test_every_other_address_is_not_found(short: FlaskClient, path: str) -> None:
    assert "/api/v1/" in short.get(path).refusal(404)


def test_a_method_that_an_address_lacks_is_refused(short: FlaskClient) -> None:
    assert "use GET" in short.post("/features", json={}).refusal(405)


def test_another_sites_page_cannot_write_and_answers_carry_the_dashboards_headers(short: FlaskClient, at: str) -> None:
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert "another site" in short.put(f"{at}/label", json={"name": "a"}, headers=headers).refusal(403)
    read = short.get(f"{at}/label")
    assert read.strict()["version"] is None
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    assert read.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_the_activation_server_runs_without_dash_or_torch(workspace: Workspace, store: Store, tmp_path: Path) -> None:
    words = [sys.executable, "-c", WITHOUT_DASH, str(workspace.root), store.id, f"sqlite:///{tmp_path / 'c.sqlite'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
