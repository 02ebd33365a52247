"""A label's versions over HTTP, and an earlier one restored as the next."""

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def two_versions(client: FlaskClient, at: str) -> None:
    client.put(f"{at}/label", json={"name": "trees", "notes": "of nodes", "category": "syntax", "confidence": 0.5})
    client.put(f"{at}/label", json={"name": "oaks", "notes": None, "replaces": 1})


def test_a_feature_without_a_label_has_no_history(client: FlaskClient, at: str) -> None:
    assert client.get(f"{at}/label/history").strict() == {"items": [], "total": 0}


@pytest.mark.usefixtures("two_versions")
def test_the_history_tells_every_version_the_newest_first(client: FlaskClient, at: str) -> None:
    items = client.get(f"{at}/label/history").strict()["items"]
    assert [(item["version"], item["name"], item["notes"]) for item in items] == [
        (2, "oaks", ""),
        (1, "trees", "of nodes"),
    ]
    newest = client.get(f"{at}/label").strict()
    assert {"store": newest["store"], **items[0]} == newest


@pytest.mark.usefixtures("two_versions")
def test_an_earlier_version_is_restored_as_the_next_one_and_once(client: FlaskClient, at: str) -> None:
    sent = {"version": 1, "replaces": 2, "edit_key": "back"}
    saved = client.post(f"{at}/label/restore", json=sent).strict()
    assert (saved["version"], saved["name"], saved["notes"], saved["confidence"]) == (3, "trees", "of nodes", 0.5)
    assert client.post(f"{at}/label/restore", json=sent).strict() == saved
    assert client.get(f"{at}/label/history").strict()["total"] == 3


@pytest.mark.usefixtures("two_versions")
def test_a_restored_version_never_goes_over_somebody_elses_edit(client: FlaskClient, at: str) -> None:
    stale = client.post(f"{at}/label/restore", json={"version": 1, "replaces": 1})
    assert "saved version 2" in stale.refusal(409)
    assert (stale.strict()["current"]["name"], stale.strict()["submitted"]["name"]) == ("oaks", "trees")


@pytest.mark.usefixtures("two_versions")
@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"version": 9, "replaces": 2}, "Version 9 of this label does not exist"),
        ({"version": 0, "replaces": 2}, "'version' must be a version of the history"),
        ({"replaces": 2}, 'needs "version"'),
        ({"version": 1, "name": "x"}, "found 'name'"),
    ],
)
def test_what_cannot_be_restored_is_refused(client: FlaskClient, at: str, sent: object, words: str) -> None:
    assert words in client.post(f"{at}/label/restore", json=sent).refusal(400)
