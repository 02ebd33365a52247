"""Votes, comments and bookmarks over HTTP: each of whoever asks, on a version that is there."""

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.comments import comments_on
from catalog.labels import put_label
from loaders.store import Store


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture(autouse=True)
def label(catalog: Catalog, store: Store, living: int) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, living, "trees", "", "ada", None)


def named(client: FlaskClient, name: str) -> FlaskClient:
    client.set_cookie("loupe_author", name)
    return client


def test_everybody_has_one_vote_on_a_version_and_may_take_it_back(client: FlaskClient, at: str) -> None:
    assert client.get(f"{at}/votes").strict() == {"items": [], "total": 0}
    named(client, "ada").put(f"{at}/votes", json={"version": 1, "value": 1})
    body = named(client, "bob").put(f"{at}/votes", json={"version": 1, "value": -1}).strict()
    assert {each["person"]: each["value"] for each in body["items"]} == {"ada": 1, "bob": -1}
    client.put(f"{at}/votes", json={"version": 1, "value": 1})
    assert client.get(f"{at}/votes").strict()["items"][1]["value"] == 1
    body = client.put(f"{at}/votes", json={"version": 1, "value": 0}).strict()
    assert [each["person"] for each in body["items"]] == ["ada"]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"version": 2, "value": 1}, "Version 2 of this label does not exist"),
        ({"version": 1, "value": 2}, "'value' must be 1 (for), -1 (against) or 0"),
        ({"version": 1, "value": True}, "'value' must be"),
        ({"value": 1}, 'needs "version"'),
    ],
)
def test_a_vote_that_cannot_be_is_refused(client: FlaskClient, at: str, sent: object, words: str) -> None:
    assert words in client.put(f"{at}/votes", json=sent).refusal(400)


def test_a_comment_is_added_once_under_its_key_and_read_by_everybody(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    sent = {"version": 1, "text": "really\noaks?", "edit_key": "c1"}
    said = named(client, "bob").post(f"{at}/comments", json=sent).strict()
    assert (said["author"], said["text"], said["version"]) == ("bob", "really\noaks?", 1)
    assert client.post(f"{at}/comments", json=sent).strict() == said
    assert len(comments_on(catalog, store.sae_fingerprint, living)) == 1
    assert named(client, "ada").get(f"{at}/comments").strict() == {"items": [said], "total": 1}
    assert "belongs to another comment" in client.post(f"{at}/comments", json={**sent, "text": "no"}).refusal(400)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"version": 1, "text": "  "}, "The comment is empty"),
        ({"version": 1, "text": "x" * 4_001}, "at most 4,000 characters"),
        ({"version": 3, "text": "x"}, "Version 3 of this label does not exist"),
        ({"version": 1, "text": None}, "'text' must be a text"),
    ],
)
def test_a_comment_that_cannot_be_is_refused(client: FlaskClient, at: str, sent: object, words: str) -> None:
    assert words in client.post(f"{at}/comments", json=sent).refusal(400)


def test_bookmarks_are_those_of_whoever_asks(client: FlaskClient, at: str, store: Store, living: int) -> None:
    set_once = named(client, "ada").put(f"{at}/bookmark").strict()
    assert set_once == {"store": store.id, "feature_id": living, "is_bookmarked": True}
    assert client.put(f"{at}/bookmark").strict() == set_once
    (mark,) = client.get("/api/v1/bookmarks").strict()["items"]
    assert (mark["sae_id"], mark["feature_id"]) == (store.sae_id, living)
    assert client.get(f"/api/v1/bookmarks?store={store.id}").strict()["total"] == 1
    assert client.get("/api/v1/bookmarks?store=tiny-l1@texts").strict()["total"] == 0
    client.get("/api/v1/bookmarks?store=none@none").refusal(404)
    assert named(client, "bob").get("/api/v1/bookmarks").strict()["total"] == 0
    assert named(client, "ada").delete(f"{at}/bookmark").strict()["is_bookmarked"] is False
    assert client.get("/api/v1/bookmarks").strict()["total"] == 0


@pytest.mark.parametrize("part", ["votes", "comments", "label/history"])
def test_a_feature_that_is_not_there_has_none(client: FlaskClient, base: str, part: str) -> None:
    assert "feature" in client.get(f"{base}/features/100000/{part}").refusal(404).lower()
