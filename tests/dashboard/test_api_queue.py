"""The queue and double-blind reviews over HTTP: the page's order, one person for a feature, words unseen until both are in."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.labels import get_label, put_label
from catalog.queue import claim_next
from catalog.reviews import submit_blind
from dashboard.labelling import activation_masses, by_value
from loaders.store import Store


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def waiting(store: Store) -> list[int]:
    return by_value(store, [])


class Asking:
    """One client that asks in the name of several people."""

    def __init__(self, client: FlaskClient, base: str) -> None:
        self._client, self._base = client, base

    def __call__(self, person: str, method: str, path: str, **body: Any) -> Any:
        self._client.set_cookie("loupe_author", person)
        return self._client.open(f"{self._base}/{path}", method=method, **body)


@pytest.fixture
def ask_as(client: FlaskClient, base: str) -> Asking:
    return Asking(client, base)


def claimed(answer: Any) -> int | None:
    claim = answer.strict()["claim"]
    return None if claim is None else claim["feature_id"]


def test_the_queue_begins_with_the_most_valuable_feature_without_a_label(
    ask_as: Asking, store: Store, catalog: Catalog, waiting: list[int]
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, waiting[0], "oaks", "", "ada", None)
    ask_as("ada", "POST", "queue/claims")
    body = ask_as("bob", "GET", "queue?limit=2").strict()
    assert [item["feature_id"] for item in body["items"]] == waiting[1:3]
    assert [item["claimed_by"] for item in body["items"]] == [["ada"], []]
    assert (body["total"], body["blind_share"]) == (len(waiting) - 1, 0.0)
    assert body["items"][0]["mass"] == pytest.approx(activation_masses(store)[waiting[1]])
    assert [each["feature_id"] for each in ask_as("bob", "GET", "queue?offset=2").strict()["items"]] == waiting[3:103]


def test_a_feature_is_one_persons_and_stays_theirs(ask_as: Asking, waiting: list[int]) -> None:
    assert [claimed(ask_as(who, "POST", "queue/claims")) for who in ("ada", "bob", "ada")] == [*waiting[:2], waiting[0]]
    items = ask_as("eve", "GET", "queue/claims").strict()["items"]
    assert {item["person"]: item["feature_id"] for item in items} == {"ada": waiting[0], "bob": waiting[1]}
    assert all(item["is_blind"] is False for item in items)


def test_a_claim_is_kept_skipped_and_given_back(ask_as: Asking, waiting: list[int]) -> None:
    first = ask_as("ada", "POST", "queue/claims").strict()["claim"]
    kept = ask_as("ada", "PUT", f"features/{waiting[0]}/claim").strict()["claim"]
    assert kept["expires_at"] > first["expires_at"]
    assert "not yours" in ask_as("bob", "PUT", f"features/{waiting[0]}/claim").refusal(409)
    assert claimed(ask_as("ada", "POST", f"queue/claims?skip={waiting[0]}")) == waiting[1]
    assert ask_as("ada", "DELETE", f"features/{waiting[1]}/claim").strict()["is_claimed"] is False
    assert ask_as("ada", "GET", "queue/claims").strict()["total"] == 0
    ask_as("ada", "DELETE", f"features/{waiting[1]}/claim").strict()


def test_behind_the_last_feature_the_first_one_is_taken(ask_as: Asking, waiting: list[int]) -> None:
    assert claimed(ask_as("ada", "POST", f"queue/claims?skip={waiting[-1]}")) == waiting[0]
    ask_as("ada", "POST", "queue/claims?skip=1000000").refusal(404)
    ask_as("ada", "POST", "queue/claims?skip=x").refusal(400)


def test_an_empty_queue_gives_nothing(ask_as: Asking, store: Store, catalog: Catalog, waiting: list[int]) -> None:
    for feature in waiting:
        claim_next(catalog, store.sae_fingerprint, [feature], f"person {feature}")
    assert claimed(ask_as("ada", "POST", "queue/claims")) is None


@pytest.mark.parametrize("share", [-0.1, 1.5, "1", None, True])
def test_a_share_that_cannot_be_is_refused(ask_as: Asking, share: object) -> None:
    assert "from 0 to 1" in ask_as("ada", "PUT", "queue/blind_share", json={"share": share}).refusal(400)


def test_two_who_say_the_same_make_the_label(
    ask_as: Asking, store: Store, catalog: Catalog, waiting: list[int]
) -> None:
    assert ask_as("ada", "PUT", "queue/blind_share", json={"share": 1}).strict() == {"store": store.id, "share": 1.0}
    feature = waiting[0]
    for person in ("ada", "bob"):
        assert ask_as(person, "POST", "queue/claims").strict()["claim"]["is_blind"] is True
    said = ask_as("ada", "POST", f"features/{feature}/review", json={"name": "Oaks", "confidence": 0.5}).strict()
    assert (said["state"], [each["name"] for each in said["labels"]]) == ("waiting", ["Oaks"])
    assert ask_as("bob", "GET", f"features/{feature}/review").strict()["labels"] == []
    assert ask_as("bob", "GET", "reviews?state=waiting").strict()["items"][0]["labels"] == []
    agreed = ask_as("bob", "POST", f"features/{feature}/review", json={"name": "oaks", "notes": None}).strict()
    assert (agreed["state"], agreed["verdict"]["outcome"], agreed["verdict"]["label_version"]) == (
        "decided",
        "agreed",
        1,
    )
    label = get_label(catalog, store.sae_fingerprint, feature)
    assert label is not None
    assert (label.name, label.author, label.confidence) == ("Oaks", "ada", 0.5)


def test_a_third_person_decides_between_two_who_differ(ask_as: Asking, store: Store, catalog: Catalog) -> None:
    verdict = "features/7/review/verdict"
    assert "nothing to decide" in ask_as("eve", "POST", verdict, json={"name": "oaks"}).refusal(404)
    for person, name in (("ada", "oaks"), ("bob", "elms")):
        claim_next(catalog, store.sae_fingerprint, [7], person, blind_share=1.0)
        submit_blind(catalog, store.sae_id, store.sae_fingerprint, 7, person, name)
    (review,) = ask_as("eve", "GET", "reviews?state=differs").strict()["items"]
    assert sorted(each["name"] for each in review["labels"]) == ["elms", "oaks"]
    assert "is one of the two" in ask_as("bob", "POST", verdict, json={"name": "elms"}).refusal(400)
    assert "A decision needs a name" in ask_as("eve", "POST", verdict, json={"name": " "}).refusal(400)
    label = ask_as("eve", "POST", verdict, json={"name": "trees", "category": "plants"}).strict()
    assert (label["name"], label["author"], label["category"], label["version"]) == ("trees", "eve", "plants", 1)
    assert ask_as("eve", "GET", "reviews?state=differs").strict()["total"] == 0


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"name": "oaks"}, "not claimed"),
        ({"name": ""}, "needs a name"),
        ({"notes": "x"}, 'needs "name"'),
        ({"name": "x" * 201}, "at most 200"),
        ({"name": "oaks", "replaces": 1}, "found 'replaces'"),
    ],
)
def test_what_cannot_be_said_blind_is_refused(ask_as: Asking, sent: object, words: str) -> None:
    assert words in ask_as("ada", "POST", "features/7/review", json=sent).refusal(400)
    assert ask_as("ada", "GET", "features/7/review").strict()["state"] is None
    ask_as("ada", "GET", "reviews?state=lost").refusal(400)
