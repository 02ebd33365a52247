"""Versions of a label: the name always, everything else where it changed."""

from datetime import UTC, datetime

from catalog.label_text import TYPED, Evidence, Label, Origin
from catalog.votes import Vote
from dashboard.feature_versions import SHOWN, versions_data

WHEN = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)


def version(number: int, name: str, notes: str = "", **more: object) -> Label:
    label = Label("sae", 7, number, name, notes, "ada", WHEN, number - 1 or None, "", None, None, TYPED, None)
    return label._replace(**more)


def test_the_first_version_says_what_it_holds_and_later_ones_what_changed() -> None:
    first = version(1, "oak", "a tree", category="plants", evidence=Evidence("s@d", 1_200, 5))
    second = version(2, "oak", "a tall tree", category="plants", confidence=0.8)
    newest, oldest = versions_data([second, first], [])
    assert [(line["field"], line["pieces"]) for line in oldest["lines"]] == [
        ("name", [("same", "oak")]),
        ("category", [("same", "plants")]),
        ("notes", [("same", "a tree")]),
        ("evidence", [("same", "context 1,200, position 5 of s@d")]),
    ]
    assert [(line["field"], line["pieces"]) for line in newest["lines"]] == [
        ("name", [("same", "oak")]),
        ("confidence", [("new", "80.0 %")]),
        ("notes", [("same", "a "), ("new", "tall "), ("same", "tree")]),
        ("evidence", [("gone", "context 1,200, position 5 of s@d")]),
    ]
    assert newest["when"] == "2026-11-21 14:05 UTC"


def test_without_a_label_there_are_no_versions() -> None:
    assert versions_data([], []) == []


def test_a_cleared_label_shows_what_it_said() -> None:
    cleared = versions_data([version(2, ""), version(1, "oak")], [])[0]
    assert cleared["lines"] == [{"field": "name", "pieces": [("gone", "oak")]}]


def test_votes_stand_at_their_version_and_an_inherited_label_says_so() -> None:
    votes = [Vote(2, "bob", 1, WHEN), Vote(1, "cy", -1, WHEN), Vote(2, "dee", 1, WHEN)]
    origin = Origin("inherited", "other", 3, 0.91)
    newest, oldest = versions_data([version(2, "elm", origin=origin), version(1, "oak")], votes)
    assert (newest["for"], newest["against"], oldest["against"]) == (["bob", "dee"], [], ["cy"])
    assert newest["origin"].startswith("Inherited from feature 3")


def test_a_long_history_is_cut_and_its_last_shown_version_still_compares() -> None:
    found = versions_data([version(number, f"name {number}") for number in range(SHOWN + 5, 0, -1)], [])
    assert len(found) == SHOWN
    assert ("gone", "5") in found[-1]["lines"][0]["pieces"]
