"""What is inherited is planned label by label, is marked, and never lies over what is there."""

from datetime import UTC, datetime

from catalog.catalog import Catalog
from catalog.dictionary.importing import newest_of
from catalog.inheriting import Match, plan_inheritance
from catalog.labels import Evidence, Label, labels_of, put_label, put_labels

NEW = ("retrained", "beef")


def label(feature: int, name: str) -> Label:
    evidence = Evidence("old@docs", 120, 7)
    return Label("old", feature, 2, name, "nodes", "ada", datetime.now(UTC), 1, "structures", 0.5, evidence)


def match(source: int, target: int) -> Match:
    return Match(source, target, 0.9, f"feature {source} of old by decoder cosine 0.900")


def test_a_label_is_inherited_whole_with_where_it_comes_from(catalog: Catalog) -> None:
    plan = plan_inheritance({3: label(3, "trees")}, {}, [match(3, 8)], "f00d", NEW)
    put_labels(catalog, [edit for _, edit in plan.new])
    (found,) = labels_of(catalog, "beef").values()
    assert (found.sae_id, found.feature_id, found.version, found.author) == ("retrained", 8, 1, "ada")
    old = label(3, "trees")
    assert (found.name, found.notes, found.category, found.confidence, found.evidence) == (
        old.name, old.notes, old.category, old.confidence, old.evidence
    )  # fmt: skip
    assert tuple(found.origin) == ("inherited", "f00d", 3, 0.9, "feature 3 of old by decoder cosine 0.900")


def test_what_is_there_stays_and_what_was_removed_stays_away(catalog: Catalog) -> None:
    put_label(catalog, *NEW, 8, "trees", "nodes", "bob", None)
    put_label(catalog, *NEW, 9, "its own", "", "bob", None)
    put_label(catalog, *NEW, 10, "wrong", "", "bob", None)
    put_label(catalog, *NEW, 10, "", "", "bob", 1)
    labels = {at: label(at, "trees") for at in range(3)}
    plan = plan_inheritance(
        labels, newest_of(catalog, "beef"), [match(0, 8), match(1, 9), match(2, 10)], "f00d", NEW, "eve"
    )
    assert plan.new == []
    assert [each.target for each in plan.same] == [8]
    assert [(each.target, there.name) for each, there in plan.kept] == [(9, "its own"), (10, "")]
