"""Labels over HTTP: saved as versions, never over somebody else's edit, never by another site's page."""

import json
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from catalog.catalog import Catalog
from catalog.labels import Evidence, get_label, history, put_label
from catalog.queue import claim_next, claims_of
from loaders.store import Store
from loaders.workspace import Workspace


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


JSON_HEADERS = {"Content-Type": "application/json"}


def test_a_label_is_saved_with_its_author_and_read_back(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    before = client.get(f"{at}/label").strict()
    assert (before["version"], before["name"], before["notes"]) == (None, "", "")
    client.set_cookie("loupe_author", "Ada%20L.")
    sent = {"name": " <script>alert(1)</script> ", "notes": "two\nlines", "replaces": None}
    saved = client.put(f"{at}/label", json=sent).strict()
    assert (saved["version"], saved["name"], saved["notes"]) == (1, "<script>alert(1)</script>", "two\nlines")
    assert (saved["author"], saved["feature_id"], saved["replaces"]) == ("Ada L.", living, None)
    assert datetime.fromisoformat(saved["created_at"]).tzinfo is not None
    assert client.get(f"{at}/label").strict() == saved
    assert client.get(at).strict()["label"]["name"] == saved["name"]
    stored = get_label(catalog, store.sae_fingerprint, living)
    assert stored is not None
    assert stored.name == saved["name"]


def test_an_author_without_a_usable_cookie_is_anonymous(client: FlaskClient, at: str) -> None:
    assert client.put(f"{at}/label", json={"name": "a"}).strict()["author"] == "anonymous"
    client.set_cookie("loupe_author", "%00%0A%20")
    assert client.put(f"{at}/label", json={"name": "b", "replaces": 1}).strict()["author"] == "anonymous"
    client.set_cookie("loupe_author", "%E2%80%AE%E2%80%8B")  # turns the line, and shows nothing
    assert client.put(f"{at}/label", json={"name": "b", "replaces": 2}).strict()["author"] == "anonymous"
    client.set_cookie("loupe_author", "x" * 300)
    assert client.put(f"{at}/label", json={"name": "c", "replaces": 3}).strict()["author"] == "x" * 100


def test_a_stale_edit_is_answered_with_both_texts(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    client.put(f"{at}/label", json={"name": "trees"})
    response = client.put(f"{at}/label", json={"name": "nodes", "notes": "mine"})
    assert "saved version 1" in response.refusal(409)
    body = response.strict()
    assert (body["current"]["name"], body["current"]["version"]) == ("trees", 1)
    assert (body["submitted"]["name"], body["submitted"]["notes"]) == ("nodes", "mine")
    assert len(history(catalog, store.sae_fingerprint, living)) == 1


def test_a_cleared_label_is_no_label_but_keeps_its_version(client: FlaskClient, at: str) -> None:
    client.put(f"{at}/label", json={"name": "trees"})
    assert client.put(f"{at}/label", json={"name": "", "replaces": 1}).strict()["version"] == 2
    assert client.get(at).strict()["label"] is None
    assert client.get(f"{at}/label").strict()["version"] == 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"name": "x" * 100_000}, "at most 200 characters: found 100,000"),
        ({"name": "x", "notes": "y" * 100_000}, "at most 10,000 characters: found 100,000"),
        ({"name": "x\x00"}, "control characters"),
        ({"name": 7}, "'name' must be a text"),
        ({"notes": "y"}, 'A new label needs a "name"'),
        (["name"], 'such as {"name": "...", "notes": "...", "replaces": null}: found a list'),
        ({"name": "x", "notes": 3}, "'notes' must be a text, or null"),
        ({"name": "x", "category": "y" * 61}, "at most 60 characters"),
        ({"name": "x", "confidence": 1.5}, "'confidence' must be a number from 0 to 1"),
        ({"name": "x", "confidence": float("nan")}, "'confidence' must be a number from 0 to 1"),
        ({"name": "x", "confidence": True}, "'confidence' must be a number from 0 to 1"),
        ({"name": "x", "evidence": "s@d/3"}, "'evidence' must be an object, or null"),
        ({"name": "x", "evidence": {"store": "s@d"}}, 'The evidence needs "context"'),
        ({"name": "x", "evidence": {"store": "s@d", "context": -1}}, "'context' must be the index of a context"),
        ({"name": "x", "evidence": {"store": "", "context": 1}}, "The evidence must be a place"),
        ({"name": "x", "evidence": {"store": "nope", "context": 3}}, "such as sae@dataset/120/7"),
        ({"name": "x", "evidence": {"store": "no@store", "context": 3}}, "store 'no@store' cannot be opened"),
        ({"name": "x", "evidence": {"store": "s@d", "context": 10**30}}, "'context' must be"),
        ({"name": "x", "edit_key": "two words"}, "An edit key has 1 to 64"),
        ({"notes": "y", "replaces": 4}, "Version 4 of this label does not exist"),
        ({"name": "x", "replaces": "1"}, "'replaces' must be the version"),
        ({"name": "x", "replaces": True}, "'replaces' must be the version"),
        ({"name": "x", "replaces": 4}, "Version 4 of this label does not exist"),
        ({"name": "x", "author": "me"}, "found 'author'"),
    ],
)
def test_a_label_that_cannot_be_is_refused(client: FlaskClient, at: str, sent: object, words: str) -> None:
    assert words in client.put(f"{at}/label", json=sent).refusal(400)
    assert client.get(f"{at}/label").strict()["version"] is None


def test_a_body_that_is_not_json_is_refused(client: FlaskClient, at: str) -> None:
    assert "Content-Type" in client.put(f"{at}/label", data="name=trees").refusal(415)
    assert "not valid JSON" in client.put(f"{at}/label", data='{"name":', headers=JSON_HEADERS).refusal(400)
    large = json.dumps({"name": "x" * 2**21})
    assert "too large" in client.put(f"{at}/label", data=large, headers=JSON_HEADERS).refusal(413)


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://localhost.elsewhere.example"])
def test_a_label_saved_by_another_sites_page_is_refused(client: FlaskClient, at: str, origin: str) -> None:
    client.put(f"{at}/label", json={"name": "trees"}, headers={"Origin": origin}).refusal(403)
    assert client.get(f"{at}/label").strict()["version"] is None


@pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
def test_a_label_saved_by_the_dashboards_own_page_is_taken(client: FlaskClient, at: str, origin: str) -> None:
    saved = client.put(f"{at}/label", json={"name": "trees"}, headers={"Origin": origin})
    assert saved.status_code == 200


def test_category_confidence_and_evidence_are_saved_and_told(client: FlaskClient, at: str, store: Store) -> None:
    place = {"store": store.id, "context": 3, "position": None}
    sent = {"name": "trees", "category": "syntax", "confidence": 0.75, "evidence": place, "edit_key": "one"}
    saved = client.put(f"{at}/label", json=sent).strict()
    assert {field: saved[field] for field in sent} == sent
    assert saved["origin"] == {"kind": "typed", "sae": None, "feature": None, "score": None, "detail": None}
    assert client.get(f"{at}/label").strict() == saved
    assert client.get(at).strict()["label"]["evidence"] == place


def test_evidence_is_a_place_that_is_there(client: FlaskClient, at: str, store: Store) -> None:
    stop = store.dataset.contexts
    length = int(store.dataset.offsets[stop] - store.dataset.offsets[stop - 1])
    send = lambda **place: client.put(f"{at}/label", json={"name": "x", "evidence": {"store": store.id, **place}})  # noqa: E731
    assert f"contexts 0 to {stop - 1}" in send(context=stop).refusal(400)
    assert f"positions 0 to {length - 1}" in send(context=stop - 1, position=length).refusal(400)
    assert client.get(f"{at}/label").strict()["version"] is None
    assert send(context=stop - 1, position=length - 1).status_code == 200


def test_evidence_in_another_saes_store_is_refused(
    client: FlaskClient, at: str, store: Store, workspace: Workspace
) -> None:
    other = next(
        each for each in workspace.store_ids() if workspace.open_store(each).sae_fingerprint != store.sae_fingerprint
    )
    sent = {"name": "x", "evidence": {"store": other, "context": 0}}
    assert f"name a store of '{store.sae_id}'" in client.put(f"{at}/label", json=sent).refusal(400)


def test_evidence_whose_store_was_removed_stays_and_goes_out_and_in_again(
    client: FlaskClient, at: str, base: str, store: Store, living: int, catalog: Catalog
) -> None:
    gone = {"store": "removed@docs", "context": 9, "position": None}
    put_label(
        catalog, store.sae_id, store.sae_fingerprint, living, "trees", "", "ada", None, evidence=Evidence("removed@docs", 9)
    )  # fmt: skip
    again = client.put(f"{at}/label", json={"name": "oaks", "evidence": gone, "replaces": 1}).strict()
    assert again["evidence"] == gone
    for kind in ("json", "csv", "yaml"):
        exported = client.get(f"{base}/labels/export?format={kind}").data
        found = client.post(f"{base}/labels/import?file=l.{kind}", data=exported, content_type="text/plain").strict()
        assert found["unchanged"] == 1, kind


def test_what_is_absent_stays_and_what_is_null_is_cleared(client: FlaskClient, at: str, store: Store) -> None:
    place = {"store": store.id, "context": 3, "position": 2}
    first = {"name": "trees", "notes": "of nodes", "category": "syntax", "confidence": 0.5, "evidence": place}
    client.put(f"{at}/label", json=first)
    second = client.put(f"{at}/label", json={"category": "plants", "replaces": 1}).strict()
    assert {field: second[field] for field in first} == first | {"category": "plants"}
    nothing = {"notes": None, "category": "", "confidence": None, "evidence": None}
    third = client.put(f"{at}/label", json={**nothing, "replaces": 2}).strict()
    assert {field: third[field] for field in first} == {**nothing, "name": "trees", "notes": "", "category": ""}


def test_an_edit_of_an_older_version_starts_from_that_one(client: FlaskClient, at: str) -> None:
    client.put(f"{at}/label", json={"name": "trees", "category": "syntax"})
    client.put(f"{at}/label", json={"category": "plants", "replaces": 1})
    stale = client.put(f"{at}/label", json={"notes": "mine", "replaces": 1})
    assert stale.status_code == 409
    told = stale.strict()
    assert (told["current"]["category"], told["submitted"]["category"]) == ("plants", "syntax")
    assert (told["submitted"]["name"], told["submitted"]["notes"]) == ("trees", "mine")


def test_an_empty_name_clears_the_whole_label(client: FlaskClient, at: str) -> None:
    client.put(f"{at}/label", json={"name": "trees", "notes": "of nodes", "category": "syntax", "confidence": 1})
    cleared = client.put(f"{at}/label", json={"name": None, "replaces": 1}).strict()
    assert [cleared[field] for field in ("name", "notes", "category", "confidence")] == ["", "", "", None]


def test_a_cleared_label_has_nothing_else_whatever_was_sent(client: FlaskClient, at: str, store: Store) -> None:
    more = {"category": "x", "confidence": 0.4, "evidence": {"store": store.id, "context": 3}}
    assert 'needs a "name"' in client.put(f"{at}/label", json={"name": "", **more}).refusal(400)
    client.put(f"{at}/label", json={"name": "trees"})
    cleared = client.put(f"{at}/label", json={"name": "", "replaces": 1, **more}).strict()
    assert [cleared[field] for field in more] == ["", None, None]


def test_an_edit_that_is_sent_again_under_its_key_is_saved_once(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    sent = {"name": "trees", "edit_key": "8a1c"}
    first = client.put(f"{at}/label", json=sent).strict()
    assert client.put(f"{at}/label", json=sent).strict() == first
    assert len(history(catalog, store.sae_fingerprint, living)) == 1
    assert "belongs to another edit" in client.put(f"{at}/label", json={**sent, "name": "oaks"}).refusal(400)


def test_saving_a_claimed_feature_ends_the_claim(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    claim_next(catalog, store.sae_fingerprint, [living], "anonymous")
    client.put(f"{at}/label", json={"name": "trees"})
    assert claims_of(catalog, store.sae_fingerprint) == []


def test_a_double_blind_feature_of_ones_own_is_not_labelled_in_the_open(
    client: FlaskClient, at: str, store: Store, living: int, catalog: Catalog
) -> None:
    claim_next(catalog, store.sae_fingerprint, [living], "anonymous", blind_share=1.0)
    assert "double-blind" in client.put(f"{at}/label", json={"name": "trees"}).refusal(409)
    assert get_label(catalog, store.sae_fingerprint, living) is None


def test_a_broken_catalog_is_unavailable(client: FlaskClient, at: str, catalog: Catalog) -> None:
    with catalog.write() as session:
        session.execute(text("alter table labels rename to lost"))
    assert "cannot be used" in client.get(f"{at}/label").refusal(503)


def test_a_body_that_nests_too_deeply_is_refused(client: FlaskClient, base: str) -> None:
    answered = client.put(f"{base}/features/0/label", data="[" * 200_000, headers=JSON_HEADERS)
    assert answered.status_code == 400
    assert "nests too deeply" in answered.get_json()["error"]
