"""Dictionary files over HTTP: a preview and its digest, then exactly those changes, all of them or none."""

import gzip
from typing import Any

import pytest
from flask.testing import FlaskClient

from catalog.catalog import Catalog
from catalog.labels import get_label, labels_of, put_label
from loaders.store import Store

CSV = "feature,name,notes\n3,oaks,big\n5,elms,\n"


@pytest.fixture
def catalog(either_catalog: Catalog) -> Catalog:
    return either_catalog


@pytest.fixture
def send(client: FlaskClient, base: str) -> Any:
    def call(data: str | bytes = CSV, query: str = "", kind: str = "text/csv") -> Any:
        return client.post(f"{base}/labels/import?{query}", data=data, headers={"Content-Type": kind})

    return call


def test_a_preview_tells_every_change_and_saves_nothing(send: Any, store: Store, catalog: Catalog) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 3, "trees", "", "ada", None)
    told = send(query="file=mine.csv").strict()
    assert (told["file"], told["format"], told["entries"], told["saved"]) == ("mine.csv", "csv", 2, 0)
    (added,), (changed,) = told["added"], told["changed"]
    assert (added["feature_id"], added["old"], added["new"]["name"], added["line"]) == (5, None, "elms", 3)
    assert (changed["old"]["name"], changed["new"]["name"], changed["replaces"]) == ("trees", "oaks", 1)
    assert changed["fields"] == ["name", "notes"]
    assert set(labels_of(catalog, store.sae_fingerprint)) == {3}


@pytest.mark.parametrize("kind", ["text/csv", "text/plain", "application/octet-stream", "application/json"])
def test_the_changes_of_the_preview_are_saved_with_their_origin(
    send: Any, client: FlaskClient, store: Store, catalog: Catalog, kind: str
) -> None:
    client.set_cookie("loupe_author", "bob")
    digest = send(kind=kind).strict()["digest"]
    done = send(query=f"apply=true&expect={digest}&file=mine.csv", kind=kind).strict()
    assert (done["saved"], done["digest"]) == (2, digest)
    saved = get_label(catalog, store.sae_fingerprint, 3)
    assert saved is not None
    assert (saved.name, saved.notes, saved.author) == ("oaks", "big", "bob")
    assert tuple(saved.origin) == ("imported", None, None, None, "mine.csv (csv)")


def test_what_changed_since_the_preview_keeps_it_out_and_is_told(send: Any, store: Store, catalog: Catalog) -> None:
    digest = send().strict()["digest"]
    put_label(catalog, store.sae_id, store.sae_fingerprint, 5, "ash", "", "ada", None)
    refused = send(query=f"apply=true&expect={digest}")
    assert "labels were saved since" in refused.refusal(409)
    now = refused.strict()
    assert (now["changed"][0]["old"]["name"], now["saved"]) == ("ash", 0)
    assert set(labels_of(catalog, store.sae_fingerprint)) == {5}
    assert send(query=f"apply=true&expect={now['digest']}").strict()["saved"] == 2


def test_a_file_that_is_applied_twice_is_saved_once(send: Any, store: Store, catalog: Catalog) -> None:
    query = f"apply=true&expect={send().strict()['digest']}"
    send(query=query).strict()
    again = send(query=query)
    assert "Nothing was imported" in again.refusal(409)
    assert (again.strict()["unchanged"], again.strict()["added"]) == (2, [])
    saved = get_label(catalog, store.sae_fingerprint, 3)
    assert saved is not None
    assert saved.version == 1


@pytest.mark.parametrize(("conflicts", "name"), [("keep", "ash"), ("replace", "elms")])
def test_conflicts_are_kept_or_replaced_only_where_that_is_asked(
    send: Any, store: Store, catalog: Catalog, conflicts: str, name: str
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 5, "x", "", "ada", None)
    put_label(catalog, store.sae_id, store.sae_fingerprint, 5, "ash", "", "ada", 1)
    file = "feature,name,notes,version\n3,oaks,big,\n5,elms,,1\n"
    preview = send(file).strict()
    assert "ada saved version 2 since" in preview["conflicts"][0]["reason"]
    query = f"apply=true&expect={preview['digest']}"
    assert "conflicts=keep" in send(file, query).refusal(409)
    assert set(labels_of(catalog, store.sae_fingerprint)) == {5}
    send(file, f"{query}&conflicts={conflicts}").strict()
    labels = labels_of(catalog, store.sae_fingerprint)
    assert (labels[3].name, labels[5].name) == ("oaks", name)


def test_a_file_with_problems_is_refused_whole_with_the_line_of_each(send: Any, store: Store, catalog: Catalog) -> None:
    refused = send("feature,name\n3,oaks\nx,elms\n99999,ash\n", "file=bad.csv")
    assert "bad.csv, line 3" in refused.refusal(400)
    told = refused.strict()
    assert [(each["file"], each["line"]) for each in told["problems"]] == [("bad.csv", 3), ("bad.csv", 4)]
    assert told["problem_count"] == 2
    assert labels_of(catalog, store.sae_fingerprint) == {}


@pytest.mark.parametrize(
    ("data", "query", "words"),
    [
        ("", "", "is empty"),
        (b"\xff\xfe\x00\x01\x02", "", "labels"),
        (CSV, "apply=true", "'apply' needs 'expect'"),
        (CSV, "apply=yes", "'apply' may be true or false"),
        (CSV, "format=xml", "'format' may be"),
        (CSV, "conflicts=mine", "'conflicts' may be"),
        (CSV, "file=%00", "control characters"),
        ("[" * 100_000, "", "labels"),
    ],
)
def test_what_is_no_import_is_refused(send: Any, data: str | bytes, query: str, words: str) -> None:
    assert words in send(data, query).refusal(400)


def test_a_form_and_a_file_that_is_too_large_are_refused(send: Any) -> None:
    assert "text/plain" in send(kind="application/x-www-form-urlencoded").refusal(415)
    assert "at most 16,777,216 bytes" in send(b"x" * (2**24 + 1)).refusal(413)


def test_an_export_of_everything_changes_nothing_and_may_be_packed(
    send: Any, client: FlaskClient, base: str, store: Store, catalog: Catalog
) -> None:
    put_label(catalog, store.sae_id, store.sae_fingerprint, 3, "oaks", "big", "ada", None, category="plants")
    exported = client.get(f"{base}/labels/export").data
    for data in (exported, gzip.compress(exported)):
        told = send(data).strict()
        assert (told["unchanged"], told["added"], told["changed"], told["conflicts"]) == (1, [], [], [])
