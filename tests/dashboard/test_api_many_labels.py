"""Labels searched, saved and taken back together over HTTP: all or nothing, and how far labelling is."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.comments import put_comment
from catalog.labels import get_label, labels_of, put_label
from catalog.votes import put_vote
from dashboard.labelling import MOST, progress
from loaders.store import Store


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def named(catalog: Catalog, store: Store) -> dict[int, str]:
    """Three labels, one of them cleared."""
    place = store.sae_id, store.sae_fingerprint
    put_label(catalog, *place, 3, "Oak trees", "", "ada", None, category="plants", confidence=0.5)
    put_label(catalog, *place, 5, "nodes", "of trees", "bob", None)
    put_label(catalog, *place, 7, "gone", "", "ada", None)
    put_label(catalog, *place, 7, "", "", "ada", 1)
    return {3: "Oak trees", 5: "nodes"}


def found(client: FlaskClient, base: str, asked: str = "") -> list[int]:
    body: dict[str, Any] = client.get(f"{base}/labels?{asked}").strict()
    return [item["feature_id"] for item in body["items"]]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("asked", "features"),
    [
        ("", [5, 3]),
        ("text=TREES", [5, 3]),
        ("text=oak", [3]),
        ("category=plants", [3]),
        ("author=bob", [5]),
        ("origin=imported", []),
        ("order=feature&descending=false", [3, 5]),
        ("order=name", [3, 5]),
        ("limit=1&offset=1", [3]),
    ],
)
def test_labels_are_searched_and_ordered(client: FlaskClient, base: str, asked: str, features: list[int]) -> None:
    assert found(client, base, asked) == features


@pytest.mark.usefixtures("named")
def test_a_part_of_the_labels_says_how_many_there_are_and_what_people_think(
    client: FlaskClient, base: str, store: Store, catalog: Catalog
) -> None:
    put_vote(catalog, store.sae_fingerprint, 3, 1, "bob", -1)
    put_comment(catalog, store.sae_fingerprint, 3, 1, "hm", "bob")
    body = client.get(f"{base}/labels?order=feature&descending=false&limit=1").strict()
    assert (body["total"], body["limit"], body["offset"]) == (2, 1, 0)
    (item,) = body["items"]
    assert (item["name"], item["category"], item["confidence"]) == ("Oak trees", "plants", 0.5)
    assert (item["score"], item["comments"]) == (-1, 1)


@pytest.mark.parametrize("asked", ["order=age", "origin=heard", "descending=1", "limit=1001", "text=%00", "txt=oak"])
def test_what_cannot_be_asked_is_refused(client: FlaskClient, base: str, asked: str) -> None:
    client.get(f"{base}/labels?{asked}").refusal(400)


@pytest.mark.usefixtures("named")
def test_many_labels_are_saved_together_and_what_is_absent_stays(
    client: FlaskClient, base: str, store: Store, catalog: Catalog
) -> None:
    sent = [{"feature_id": 3, "notes": "big", "replaces": 1}, {"feature_id": 9, "name": "new", "edit_key": "k9"}]
    body = client.put(f"{base}/labels", json={"labels": sent}).strict()
    assert [(each["feature_id"], each["version"]) for each in body["items"]] == [(3, 2), (9, 1)]
    saved = get_label(catalog, store.sae_fingerprint, 3)
    assert saved is not None
    assert (saved.name, saved.notes, saved.category, saved.confidence) == ("Oak trees", "big", "plants", 0.5)


@pytest.mark.usefixtures("named")
def test_one_stale_edit_keeps_all_of_them_out_and_every_stale_one_is_told(
    client: FlaskClient, base: str, store: Store, catalog: Catalog
) -> None:
    before = labels_of(catalog, store.sae_fingerprint)
    sent = [{"feature_id": feature, "name": "mine"} for feature in (3, 5, 9)]
    refused = client.put(f"{base}/labels", json={"labels": sent})
    assert "2 of 3 labels" in refused.refusal(409)
    stale = refused.strict()["stale"]
    told = [(each["current"]["feature_id"], each["current"]["name"], each["submitted"]["name"]) for each in stale]
    assert told == [(3, "Oak trees", "mine"), (5, "nodes", "mine")]
    assert labels_of(catalog, store.sae_fingerprint) == before


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"labels": []}, 400, "a list of 1 to 1,000 labels"),
        ({"labels": [{"feature_id": 3, "name": "a"}] * (MOST + 1)}, 400, "a list of 1 to 1,000 labels"),
        ({"labels": [{"feature_id": 3, "name": "a"}] * 2}, 400, "One feature has two edits"),
        ({"labels": [{"name": "a"}]}, 400, 'needs "feature_id"'),
        ({"labels": [{"feature_id": 3, "name": "a"}, 7]}, 400, "found a number"),
        ({"labels": [{"feature_id": 10**9, "name": "a"}]}, 404, "1000000000"),
        ({"labels": [{"feature_id": 3, "name": "a"}, {"feature_id": 4, "name": "\x00"}]}, 400, "control characters"),
        ({}, 400, 'needs "labels"'),
    ],
)
def test_a_bulk_edit_that_cannot_be_saves_nothing(
    client: FlaskClient, base: str, store: Store, catalog: Catalog, sent: Any, status: int, words: str
) -> None:
    assert words in client.put(f"{base}/labels", json=sent).refusal(status).replace(",000,000", "000000")
    assert labels_of(catalog, store.sae_fingerprint) == {}


@pytest.mark.usefixtures("named")
def test_what_was_saved_together_is_taken_back_unless_somebody_saved_since(
    client: FlaskClient, base: str, store: Store, catalog: Catalog
) -> None:
    client.put(
        f"{base}/labels",
        json={"labels": [{"feature_id": 3, "name": "a", "replaces": 1}, {"feature_id": 9, "name": "b"}]},
    )
    sent = {"labels": [{"feature_id": 3, "version": 2}, {"feature_id": 9, "version": 1}]}
    body = client.post(f"{base}/labels/undo", json=sent).strict()
    assert [(each["feature_id"], each["name"], each["version"]) for each in body["items"]] == [
        (3, "Oak trees", 3),
        (9, "", 2),
    ]
    again = client.post(f"{base}/labels/undo", json=sent)
    assert "2 of 2 labels" in again.refusal(409)
    assert "does not exist" in client.post(
        f"{base}/labels/undo", json={"labels": [{"feature_id": 9, "version": 8}]}
    ).refusal(400)


@pytest.mark.usefixtures("named")
def test_progress_is_that_of_the_page(client: FlaskClient, base: str, store: Store) -> None:
    body = client.get(f"{base}/labels/progress").strict()
    assert body == {"store": store.id, **progress(store, [3, 5])._asdict()}
    assert body["labelled"] > 0
