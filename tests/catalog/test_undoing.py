"""Undo says again what was said before, for all labels or for none, and forgets no version."""

import pytest

from catalog.catalog import Catalog
from catalog.errors import StaleEdits
from catalog.label_text import Edit, Evidence
from catalog.labels import find_labels, get_label, history, labels_of, put_label, put_labels, words_used
from catalog.undoing import undo_edits
from loaders.errors import BadInput

SAE, PRINT = "minilm-l1", "f00d"


def edit(feature: int, name: str, replaces: int | None, **more: object) -> Edit:
    return Edit(SAE, PRINT, feature, name, "", "ada", replaces)._replace(**more)


def test_undo_brings_back_every_field_and_clears_what_was_new(catalog: Catalog) -> None:
    full = edit(1, "oak", None, notes="trees", category="plants", confidence=0.5, evidence=Evidence("s@d", 3, 2))
    (before,) = put_labels(catalog, [full])
    saved = put_labels(catalog, [edit(1, "elm", 1), edit(2, "elm", None)])
    undone = undo_edits(catalog, SAE, PRINT, [(label.feature_id, label.version) for label in saved], "bob")
    assert [label.version for label in undone] == [3, 2]
    now = get_label(catalog, PRINT, 1)
    assert now is not None
    assert now.author == "bob"
    for field in ("name", "notes", "category", "confidence", "evidence", "origin"):
        assert getattr(now, field) == getattr(before, field)
    assert set(labels_of(catalog, PRINT)) == {1}
    assert [label.name for label in history(catalog, PRINT, 2)] == ["", "elm"]


def test_undo_takes_nothing_back_where_somebody_saved_one_of_them_since(catalog: Catalog) -> None:
    saved = put_labels(catalog, [edit(1, "elm", None), edit(2, "elm", None)])
    put_label(catalog, SAE, PRINT, 2, "ash", "", "bob", 1)
    with pytest.raises(StaleEdits) as refused:
        undo_edits(catalog, SAE, PRINT, [(label.feature_id, label.version) for label in saved], "ada")
    assert [stale.current.name for stale in refused.value.stale] == ["ash"]
    assert {feature: label.name for feature, label in labels_of(catalog, PRINT).items()} == {1: "elm", 2: "ash"}


def test_undo_of_a_version_that_is_not_there_says_so(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="Version 4 of the label of feature 9 does not exist"):
        undo_edits(catalog, SAE, PRINT, [(9, 4)], "ada")


def test_undo_twice_is_redo(catalog: Catalog) -> None:
    put_labels(catalog, [edit(1, "oak", None)])
    (changed,) = put_labels(catalog, [edit(1, "elm", 1)])
    (undone,) = undo_edits(catalog, SAE, PRINT, [(1, changed.version)], "ada")
    (redone,) = undo_edits(catalog, SAE, PRINT, [(1, undone.version)], "ada")
    assert (undone.name, redone.name) == ("oak", "elm")


def test_labels_come_in_the_order_that_is_asked_for(catalog: Catalog) -> None:
    put_labels(catalog, [edit(3, "b", None, confidence=0.2), edit(1, "C", None), edit(2, "a", None, confidence=0.9)])

    def order(by: str, descending: bool) -> list[int]:
        return [label.feature_id for label in find_labels(catalog, PRINT, order_by=by, descending=descending).labels]

    assert order("feature", False) == [1, 2, 3]
    assert order("name", False) == [2, 3, 1]
    assert order("name", True) == [1, 3, 2]
    assert order("confidence", True) == [2, 3, 1]  # without one comes last, whichever way
    assert order("confidence", False) == [3, 2, 1]
    with pytest.raises(BadInput, match="Labels are ordered by saved"):
        order("colour", True)


def test_words_used_are_those_of_the_newest_versions(catalog: Catalog) -> None:
    put_labels(
        catalog,
        [edit(1, "oak", None, category="plants"), edit(2, "lion", None, category="animals"), edit(3, "x", None)],
    )
    put_labels(catalog, [edit(1, "oak", 1, category="trees"), edit(2, "", 1, category="animals")])
    assert words_used(catalog, PRINT, "category") == ["trees"]
    assert words_used(catalog, PRINT, "author") == ["ada"]
