"""Explanations become labels where nobody has labelled; one feature survives the whole way out and in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.catalog import Catalog
from catalog.labels import Label, get_label, history, labels_of, put_label
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.neuronpedia.directions import fingerprint_of
from precompute.neuronpedia.files import Bundle
from precompute.neuronpedia.labels import check_alignment, plan_labels, read_offers, report_of, write_labels
from precompute.neuronpedia.reading import one_feature, overview
from precompute.progress import Progress
from tests.precompute.neuronpedia.conftest import LABELS, Shop, as_foreign, change_rows, write_bundle

FILE = "explanations/batch-0.jsonl.gz"


def bring(bundle: Path, workspace: Workspace) -> tuple[dict[str, Any], dict[int, Label]]:
    """Import for good; returns the report and the labels of the SAE afterwards."""
    record, opened = workspace.sae("small-l1"), Bundle.open(bundle)
    offers = read_offers(opened, 64)
    check_alignment(opened, record, set(offers))
    catalog = Catalog(workspace.catalog_url)
    try:
        plan = plan_labels(catalog, fingerprint_of(record), offers)
        assert not write_labels(catalog, record, plan, Progress())
        return report_of(plan), labels_of(catalog, fingerprint_of(record))
    finally:
        catalog.close()


def texts(labels: dict[int, Label]) -> dict[int, tuple[str, str, str]]:
    return {feature: (label.name, label.notes, label.author) for feature, label in labels.items()}


def test_one_feature_goes_out_and_comes_back_with_the_same_values(shop: Shop, fresh: Workspace, tmp_path: Path) -> None:
    bundle = write_bundle(shop, tmp_path / "out", first=3, last=3)
    _, labels = bring(bundle, fresh)
    assert texts(labels) == {3: LABELS[3]}
    store = fresh.open_store("small-l1@texts")
    shown = one_feature(Bundle.open(bundle), 3, 100)
    top = [each for each in shown["examples"] if each["is_top"]]
    best = store.examples(3, 20).items
    assert [np.float32(each["max"]) for each in top] == [np.float32(each.value) for each in best]
    for each, example in zip(top, best, strict=True):
        values = np.zeros(len(each["tokens"]), np.float32)
        values[example.active] = example.values
        np.testing.assert_array_equal(np.float32(each["values"]), values)
    edges, counts, _ = store.histogram(3, bins=50)
    assert shown["histogram_heights"] == counts.tolist()
    np.testing.assert_allclose(shown["histogram_centres"], (edges[1:] + edges[:-1]) / 2)
    assert np.float32(shown["max"]) == np.float32(store.feature(3)["max"])
    assert [each["text"] for each in shown["explanations"]] == ["cats"]


def test_all_labels_arrive_with_author_and_notes_and_a_second_time_changes_nothing(
    written: Path, fresh: Workspace
) -> None:
    report, labels = bring(written, fresh)
    assert (report["new"], report["kept"], texts(labels)) == (3, [], LABELS)
    again, labels = bring(written, fresh)
    assert (again["new"], again["same"], again["kept"]) == (0, 3, [])
    assert {label.version for label in labels.values()} == {1}


def test_a_label_that_a_person_wrote_or_cleared_is_kept_and_reported(written: Path, fresh: Workspace) -> None:
    catalog, own = Catalog(fresh.catalog_url), fingerprint_of(fresh.sae("small-l1"))
    put_label(catalog, "small-l1", own, 3, "felines", "mine", "Mary", None)
    put_label(catalog, "small-l1", own, 7, "rugs", "", "Mary", None)
    put_label(catalog, "small-l1", own, 7, "", "", "Mary", 1)
    report, labels = bring(written, fresh)
    assert texts(labels) == {3: ("felines", "mine", "Mary"), 11: LABELS[11]}
    assert report["kept"] == [
        {"feature": 3, "label": "felines", "author": "Mary", "offered": "cats", "offered_by": "Ada"},
        {"feature": 7, "label": None, "author": None, "offered": "mats", "offered_by": "Grace"},
    ]
    assert len(history(catalog, own, 3)) == 1 and len(history(catalog, own, 7)) == 2
    catalog.close()


def test_somebody_who_labels_in_the_meantime_wins(written: Path, fresh: Workspace) -> None:
    record, catalog = fresh.sae("small-l1"), Catalog(fresh.catalog_url)
    plan = plan_labels(catalog, fingerprint_of(record), read_offers(Bundle.open(written), 64))
    put_label(catalog, "small-l1", fingerprint_of(record), 7, "rugs", "", "Mary", None)
    assert list(write_labels(catalog, record, plan, Progress())) == [7]
    label = get_label(catalog, fingerprint_of(record), 7)
    assert label is not None and (label.name, label.version) == ("rugs", 1)
    catalog.close()


def test_planning_writes_nothing(written: Path, fresh: Workspace) -> None:
    plan = plan_labels(None, fingerprint_of(fresh.sae("small-l1")), read_offers(Bundle.open(written), 64))
    assert report_of(plan)["new"] == 3 and not (fresh.root / "catalog.sqlite").exists()


def test_several_explanations_become_versions_with_the_newest_last(bundle: Path, fresh: Workspace) -> None:
    as_foreign(bundle)

    def add(rows: list[dict[str, Any]]) -> None:
        model = {"typeName": "oai_token-act-pair", "explanationModelName": "gpt-4o-mini", "notes": None}
        rows.append({**rows[0], "description": "older", "createdAt": "2020-01-01T00:00:00.000Z", **model})

    change_rows(bundle / FILE, add)
    bring(bundle, fresh)
    catalog = Catalog(fresh.catalog_url)
    versions = history(catalog, fingerprint_of(fresh.sae("small-l1")), 3)
    assert [(each.version, each.name) for each in versions] == [(2, "cats"), (1, "older")]
    assert versions[1].notes == "Explained by gpt-4o-mini, oai_token-act-pair."
    assert versions[0].author == "clkht01d40000jv08hvalcvly"
    catalog.close()


def test_long_and_dirty_texts_become_a_name_and_go_on_in_the_notes(bundle: Path, fresh: Workspace) -> None:
    long = "words\nabout\x00 cats " * 40
    change_rows(bundle / FILE, lambda rows: rows[0].update(description=long))
    report, labels = bring(bundle, fresh)
    assert report["shortened"] == [3] and len(labels[3].name) <= 200 and labels[3].name.endswith("…")
    assert labels[3].notes.splitlines()[-1].count("cats") == 40 and "\x00" not in labels[3].notes


def test_a_bundle_of_another_sae_is_refused(
    bundle: Path, written: Path, workspace: Workspace, fresh: Workspace
) -> None:
    other = workspace.sae("tiny-l0")
    with pytest.raises(BadInput, match="fingerprints differ"):
        check_alignment(Bundle.open(written), other, {3})
    as_foreign(bundle)
    record = fresh.sae("small-l1")
    assert check_alignment(Bundle.open(bundle), record, {3, 7}).startswith("the vectors of 2 features")
    with pytest.raises(BadInput, match="not that of SAE 'tiny-l0'"):
        check_alignment(Bundle.open(bundle), other, {3, 7})
    change_rows(bundle / "features/batch-0.jsonl.gz", _shift)
    with pytest.raises(BadInput, match="Feature 3 of the bundle is not that of SAE 'small-l1'"):
        check_alignment(Bundle.open(bundle), record, {3, 7})
    change_rows(bundle / "features/batch-0.jsonl.gz", lambda rows: [row.update(vector=[]) for row in rows])
    assert check_alignment(Bundle.open(bundle), record, {3, 7}) == "not checked: the bundle has no vectors"


def _shift(rows: list[dict[str, Any]]) -> None:
    """Every feature under its neighbour's number, as when indices do not match."""
    vectors = [row["vector"] for row in rows]
    for row, vector in zip(rows, vectors[1:] + vectors[:1], strict=True):
        row["vector"] = vector


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"index": "64"}, "is of feature 64; the SAE has 0 to 63"),
        ({"description": ""}, "names no feature or says nothing"),
        ({"index": None}, "names no feature"),
    ],
)
def test_rows_that_cannot_be_labels_stop_the_import(bundle: Path, change: dict[str, Any], words: str) -> None:
    change_rows(bundle / FILE, lambda rows: rows[0].update(change))
    with pytest.raises(BadInput, match=words):
        read_offers(Bundle.open(bundle), 64)


def test_authors_of_a_tampered_sidecar_are_not_trusted(bundle: Path, fresh: Workspace) -> None:
    sidecar = json.loads((bundle / "loupe.json").read_text())
    sidecar["authors"] = {"x" * 500: [3], "": [7], "Eve\x1b[2J": [11], "Tom": "all"}
    (bundle / "loupe.json").write_text(json.dumps(sidecar))
    _, labels = bring(bundle, fresh)
    assert [labels[feature].author for feature in (3, 7, 11)] == ["x" * 100, "clkht01d40000jv08hvalcvly", "Eve [2J"]


def test_a_bundle_is_read_without_its_store(written: Path) -> None:
    report = overview(Bundle.open(written), 5)
    assert (report["model"], report["source"], report["set"], report["explained"]) == (
        "tiny-causal",
        "1-small",
        "small",
        3,
    )
    assert [each["feature"] for each in report["features"]] == [0, 1, 2, 3, 4]
    assert report["features"][3]["explanation"] == "cats"
    with pytest.raises(BadInput, match="Feature 64 is not in the bundle"):
        one_feature(Bundle.open(written), 64, 5)
    with pytest.raises(BadInput, match="holds 0 sources"):
        Bundle.open(written / "explanations")
