"""Lists of features over HTTP: begun, named, filled, put in order and removed."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.labels import put_label
from catalog.lists import list_items, lists
from loaders.store import Store

LISTS = "/api/v1/lists"


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def plants(client: FlaskClient, store: Store) -> str:
    """Address of a list with three features."""
    made = client.post(LISTS, json={"name": " plants "}).strict()
    at = f"{LISTS}/{made['list_id']}"
    client.post(f"{at}/items", json={"store": store.id, "features": [3, 9, 5], "note": "green"})
    return at


def features(answer: Any) -> list[int]:
    return [item["feature_id"] for item in answer.strict()["items"]]


def test_a_list_begins_empty_and_is_found_by_everybody(client: FlaskClient, catalog: Catalog) -> None:
    client.set_cookie("loupe_author", "ada")
    made = client.post(LISTS, json={"name": " plants "}).strict()
    assert (made["name"], made["owner"], made["size"], made["items"]) == ("plants", "ada", 0, [])
    (told,) = client.get(LISTS).strict()["items"]
    assert {**told, "items": []} == made == client.get(f"{LISTS}/{made['list_id']}").strict()
    assert "There is a list 'plants' already" in client.post(LISTS, json={"name": "plants"}).refusal(400)
    assert len(lists(catalog)) == 1


def test_features_go_on_the_list_once_with_their_names(
    client: FlaskClient, plants: str, store: Store, catalog: Catalog
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 9, "oaks", "", "ada", None)
    again = client.post(f"{plants}/items", json={"store": store.id, "features": [9, 1]})
    assert features(again) == [3, 9, 5, 1]
    items = again.strict()["items"]
    assert [item["label"] for item in items] == [None, "oaks", None, None]
    assert [item["note"] for item in items] == ["green", "green", "green", ""]
    assert {item["sae_fingerprint"] for item in items} == {store.sae_fingerprint}
    assert again.strict()["size"] == 4


def test_items_are_put_in_order_and_taken_off(client: FlaskClient, plants: str, store: Store, catalog: Catalog) -> None:
    first = [{"sae_fingerprint": store.sae_fingerprint, "feature_id": feature} for feature in (5, 77)]
    assert features(client.put(f"{plants}/order", json={"items": first})) == [5, 3, 9]
    off = f"{plants}/items?sae={store.sae_fingerprint}&features="
    assert features(client.delete(f"{off}3,77")) == [5, 9]
    assert features(client.delete(f"{plants}/items?sae=another&features=5")) == [5, 9]
    (found,) = lists(catalog)
    assert [item.feature_id for item in list_items(catalog, found.list_id)] == [5, 9]


def test_a_list_is_renamed_and_removed(client: FlaskClient, plants: str) -> None:
    assert client.put(plants, json={"name": "trees"}).strict()["name"] == "trees"
    assert client.delete(plants).strict()["is_removed"] is True
    for method in ("GET", "DELETE"):
        assert "There is no list" in client.open(plants, method=method).refusal(404)
    assert client.get(LISTS).strict()["total"] == 0


@pytest.mark.parametrize(
    ("method", "part", "sent", "status"),
    [
        ("POST", "", {"name": ""}, 400),
        ("POST", "", {"name": "x" * 201}, 400),
        ("POST", "", {"nam": "x"}, 400),
        ("PUT", "/9999999999", {"name": "x"}, 404),
        ("PUT", "/none", {"name": "x"}, 404),
        ("PUT", "/99999999999999999999", {"name": "x"}, 404),
        ("POST", "/{list}/items", {"store": "none@none", "features": [1]}, 404),
        ("POST", "/{list}/items", {"store": "{store}", "features": [10**6]}, 404),
        ("POST", "/{list}/items", {"store": "{store}", "features": []}, 400),
        ("POST", "/{list}/items", {"store": "{store}", "features": ["3"]}, 400),
        ("POST", "/{list}/items", {"store": "{store}", "features": [3], "note": "\x00"}, 400),
        ("DELETE", "/{list}/items", None, 400),
        ("DELETE", "/{list}/items?sae=f&features=3,x", None, 400),
        ("DELETE", "/{list}/items?sae=f&features=3,,4", None, 400),
        ("PUT", "/{list}/order", {"items": [{"feature_id": 3}]}, 400),
        ("PUT", "/{list}/order", {"items": [{"sae_fingerprint": "f", "feature_id": 10**30}]}, 400),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    client: FlaskClient, plants: str, store: Store, method: str, part: str, sent: Any, status: int
) -> None:
    before = client.get(plants).strict()
    if sent and sent.get("store") == "{store}":
        sent = {**sent, "store": store.id}
    client.open(LISTS + part.format(list=plants.rsplit("/")[-1]), method=method, json=sent).refusal(status)
    assert client.get(plants).strict() == before
    assert client.get(LISTS).strict()["total"] == 1
