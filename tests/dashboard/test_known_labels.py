"""Labels are read anew after anybody saved one, and only then."""

from collections.abc import Iterator

import pytest
from flask import Flask

from catalog.catalog import Catalog
from catalog.labels import put_label
from dashboard.known_labels import known_labels, labelled_frame
from loaders.store import Store


@pytest.fixture(autouse=True)
def server(catalog: Catalog) -> Iterator[None]:
    made = Flask("loupe")
    made.config["LOUPE"] = {"catalog": catalog}
    with made.app_context():
        yield


def test_a_saved_label_is_known_at_once(catalog: Catalog, store: Store) -> None:
    assert known_labels(store) == {}
    for version, name in enumerate(("oak", "elm", "")):
        put_label(catalog, store.sae_id, store.sae_fingerprint, 3, name, "", "ada", version or None)
        assert {f: label.name for f, label in known_labels(store).items()} == ({3: name} if name else {})
        assert labelled_frame(store)["label"][3] == name


def test_nothing_is_read_twice_while_nobody_saves(store: Store) -> None:
    assert known_labels(store) is known_labels(store)
    assert labelled_frame(store) is labelled_frame(store)


def test_another_catalog_has_labels_of_its_own(catalog: Catalog, store: Store, tmp_path) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 3, "oak", "", "ada", None)
    assert set(known_labels(store)) == {3}
    other = Catalog(f"sqlite:///{tmp_path / 'other.sqlite'}")
    made = Flask("other")
    made.config["LOUPE"] = {"catalog": other}
    with made.app_context():
        assert known_labels(store) == {}
    other.close()
