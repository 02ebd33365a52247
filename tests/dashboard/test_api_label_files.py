"""A store's labels are downloaded as dictionary files that are read back the same."""

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.dictionary.reading import read_dictionary
from catalog.dictionary.writing import SUFFIXES, TYPES
from catalog.labels import put_label
from loaders.store import Store

NOTES = "nodes\nof trees"


@pytest.mark.parametrize("kind", list(TYPES))
def test_labels_are_downloaded_in_every_format(
    client: FlaskClient, base: str, store: Store, catalog: Catalog, kind: str
) -> None:
    place = store.sae_id, store.sae_fingerprint
    put_label(catalog, *place, 3, "=bäume", "", "ada", None)
    put_label(catalog, *place, 3, "=trees", NOTES, "ada", 1)
    put_label(catalog, *place, 5, "gone", "", "ada", None)
    put_label(catalog, *place, 5, "", "", "ada", 1)
    answered = client.get(f"{base}/labels/export?format={kind}&history=yes")
    assert (answered.status_code, answered.mimetype) == (200, TYPES[kind])
    assert answered.headers["Content-Disposition"] == f'attachment; filename="tiny-l0-labels{SUFFIXES[kind]}"'
    found = read_dictionary(answered.data, "labels", store.features, store.sae_fingerprint)
    assert found.format == kind
    (entry,) = found.entries.values()
    assert (entry.feature_id, entry.values["name"], entry.values["notes"]) == (3, "=trees", NOTES)
    assert [each.values["name"] for each in entry.earlier] == ["=bäume"]
    newest = client.get(f"{base}/labels/export?format={kind}").data
    assert all(not each.earlier for each in read_dictionary(newest, "labels", store.features).entries.values())


def test_json_is_what_comes_without_asking(client: FlaskClient, base: str, store: Store) -> None:
    answer = client.get(f"{base}/labels/export").strict()  # type: ignore[attr-defined]
    assert (answer["loupe"], answer["sae"], answer["labels"]) == ("labels", store.sae_id, {})


@pytest.mark.parametrize("asked", ["format=xml", "history=1", "formt=csv"])
def test_what_is_no_format_is_refused(client: FlaskClient, base: str, asked: str) -> None:
    client.get(f"{base}/labels/export?{asked}").refusal(400)  # type: ignore[attr-defined]
