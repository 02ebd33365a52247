"""Differences say what would happen; applied, they happen all together against the versions shown, or not at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete

from catalog.catalog import Catalog
from catalog.dictionary.differences import Differences, compare
from catalog.dictionary.entry import Dictionary, Entry, Source
from catalog.dictionary.importing import Importer, apply_differences, entries_of, newest_of
from catalog.dictionary.reading import read_dictionary
from catalog.dictionary.writing import WRITERS
from catalog.errors import StaleEdits
from catalog.labels import Evidence, Label, history, labels_of, put_label
from catalog.records import LabelRecord
from loaders.errors import BadInput
from tests.catalog.dictionary.strategies import FEATURES, SOURCE, entries

SAE, PRINT = "minilm-l1", "f00d"
ADA = Importer(SAE, PRINT, "labels.yaml (yaml)", None, "ada")


def file(*made: Entry) -> Dictionary:
    return Dictionary("yaml", Source(), {entry.feature_id: entry for entry in made})


def save(
    catalog: Catalog, feature: int, name: str, replaces: int | None = None, notes: str = "", **more: object
) -> Label:
    return put_label(catalog, SAE, PRINT, feature, name, notes, "bob", replaces, **more)  # type: ignore[arg-type]


def look(catalog: Catalog, *made: Entry) -> Differences:
    return compare(file(*made), newest_of(catalog, PRINT))


def kinds(found: Differences) -> dict[str, list[int]]:
    return {kind: [each.feature_id for each in group] for kind, group in found._asdict().items() if group}


def test_differences_are_added_changed_unchanged_or_conflicts(catalog: Catalog) -> None:
    save(catalog, 1, "trees", notes="nodes")
    save(catalog, 2, "graphs")
    save(catalog, 3, "old")
    save(catalog, 3, "theirs", 1)
    save(catalog, 4, "gone")
    save(catalog, 4, "", 1)
    found = look(
        catalog,
        Entry(0, {"name": "new"}),
        Entry(1, {"name": "trees"}),
        Entry(2, {"name": "forests"}, version=1),
        Entry(3, {"name": "mine"}, version=1),
        Entry(4, {"name": "back again"}),
        Entry(5, {"name": "new too"}, version=7),
    )
    assert kinds(found) == {"added": [0, 5], "changed": [2], "unchanged": [1], "conflicts": [3, 4]}
    (changed,) = found.changed
    assert changed.old is not None
    assert (changed.old["name"], changed.new["name"], changed.fields, changed.seen) == (
        "graphs",
        "forests",
        ["name"],
        1,
    )
    assert found.conflicts[0].reason == "the file was written from version 1; bob saved version 2 since"
    assert found.conflicts[1].reason == "bob removed this label in version 2"


def test_what_a_file_does_not_state_stays_as_it_is(catalog: Catalog) -> None:
    evidence = Evidence("minilm-l1@docs", 120, 7)
    save(catalog, 1, "trees", notes="nodes", category="structures", confidence=0.5, evidence=evidence)
    apply_differences(catalog, ADA, look(catalog, Entry(1, {"name": "graphs", "confidence": 0.9}, "eve")))
    label = labels_of(catalog, PRINT)[1]
    assert (label.name, label.notes, label.category, label.confidence) == ("graphs", "nodes", "structures", 0.9)
    assert (label.evidence, label.author, label.version, label.replaces) == (evidence, "eve", 2, 1)
    assert (label.origin.kind, label.origin.detail) == ("imported", "labels.yaml (yaml)")


def test_a_cleared_label_stays_cleared_by_a_file_without_names(catalog: Catalog) -> None:
    save(catalog, 1, "trees", category="structures")
    save(catalog, 1, "", 1, category="structures", confidence=0.5)
    found = look(catalog, Entry(1, {"category": "plants"}))
    assert kinds(found) == {"unchanged": [1]}


def test_the_importer_may_write_all_labels_and_whom_the_file_names_is_kept(catalog: Catalog) -> None:
    found = look(catalog, Entry(1, {"name": "trees"}, "eve"), Entry(2, {"name": "graphs"}))
    apply_differences(catalog, ADA._replace(author="carol"), found)
    assert [(each.author, each.origin.detail) for each in labels_of(catalog, PRINT).values()] == [
        ("carol", "labels.yaml (yaml), by eve"),
        ("carol", "labels.yaml (yaml)"),
    ]


def test_nothing_is_saved_when_one_label_was_saved_since_the_look(catalog: Catalog) -> None:
    save(catalog, 2, "graphs")
    found = look(catalog, *(Entry(at, {"name": "mine"}) for at in range(5)))
    save(catalog, 2, "theirs", 1)
    with pytest.raises(StaleEdits, match="1 of 5 labels were saved by others in the meantime: nothing was saved"):
        apply_differences(catalog, ADA, found)
    assert {feature: label.name for feature, label in labels_of(catalog, PRINT).items()} == {2: "theirs"}


def test_nothing_is_saved_when_one_label_cannot_be(catalog: Catalog) -> None:
    older = Entry(3, {"name": "x" * 201})
    with pytest.raises(BadInput, match="at most 200 characters"):
        apply_differences(
            catalog, ADA, look(catalog, Entry(1, {"name": "a"}), Entry(3, {"name": "b"}, earlier=(older,)))
        )
    assert labels_of(catalog, PRINT) == {}


def test_conflicts_are_saved_only_where_it_is_asked(catalog: Catalog) -> None:
    save(catalog, 3, "old")
    save(catalog, 3, "theirs", 1)
    found = look(catalog, Entry(3, {"name": "mine"}, version=1))
    assert apply_differences(catalog, ADA, found) == []
    apply_differences(catalog, ADA, found, with_conflicts=True)
    assert [label.name for label in history(catalog, PRINT, 3)] == ["mine", "theirs", "old"]


def test_a_new_label_brings_its_history_and_an_old_one_keeps_its_own(catalog: Catalog) -> None:
    save(catalog, 2, "graphs")
    older = (Entry(1, {"name": "first", "notes": "a"}, "eve"), Entry(1, {"name": "second"}, "dan"))
    apply_differences(
        catalog, ADA, look(catalog, Entry(1, {"name": "third"}, earlier=older), Entry(2, {"name": "x"}, earlier=older))
    )
    assert [(each.name, each.notes, each.author, each.version) for each in history(catalog, PRINT, 1)] == [
        ("third", "", "ada", 3),
        ("second", "", "dan", 2),
        ("first", "a", "eve", 1),
    ]
    assert [each.name for each in history(catalog, PRINT, 2)] == ["x", "graphs"]


def test_importing_the_same_file_again_changes_nothing(catalog: Catalog) -> None:
    made = [Entry(at, {"name": f"label {at}"}, "eve") for at in range(4)]
    apply_differences(catalog, ADA, look(catalog, *made))
    again = look(catalog, *made)
    assert kinds(again) == {"unchanged": [0, 1, 2, 3]}
    assert apply_differences(catalog, ADA, again) == []


def test_a_digest_stands_for_these_changes_to_these_versions(catalog: Catalog) -> None:
    save(catalog, 1, "trees")
    first = look(catalog, Entry(1, {"name": "mine"}), Entry(2, {"name": "b"}))
    assert first.digest == look(catalog, Entry(2, {"name": "b"}), Entry(1, {"name": "mine"})).digest
    assert first.digest != look(catalog, Entry(1, {"name": "mine"}), Entry(2, {"name": "c"})).digest
    save(catalog, 1, "trees", 1)
    assert first.digest != look(catalog, Entry(1, {"name": "mine"}), Entry(2, {"name": "b"})).digest


@pytest.mark.parametrize("kind", list(WRITERS))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=entries())
def test_labels_with_their_history_survive_the_way_through_file_and_catalog(
    kind: str, catalog: Catalog, made: list[Entry]
) -> None:
    with catalog.write() as session:  # an empty catalog for each example
        session.execute(delete(LabelRecord).where(LabelRecord.version > 1))
        session.execute(delete(LabelRecord))
    found = read_dictionary(WRITERS[kind](made, SOURCE), "labels", FEATURES, PRINT)
    apply_differences(catalog, ADA, compare(found, {}))
    back = entries_of(catalog, PRINT, with_history=True)
    assert [_said(entry) for entry in back] == [_said(entry) for entry in made]
    again = read_dictionary(WRITERS[kind](back, SOURCE), "labels", FEATURES, PRINT)
    assert kinds(compare(again, newest_of(catalog, PRINT))) == (
        {"unchanged": [each.feature_id for each in made]} if made else {}
    )


def _said(entry: Entry) -> tuple[object, ...]:
    return entry.feature_id, entry.values, entry.author or "ada", entry.version, [_said(old) for old in entry.earlier]
