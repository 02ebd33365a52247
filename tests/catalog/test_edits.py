"""Labels say more than a name; many are saved at once or none; a retried edit is saved once; an undo is a new version."""

import threading
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.catalog import Catalog
from catalog.errors import StaleEdit, StaleEdits
from catalog.labels import (
    Edit,
    Evidence,
    Label,
    Origin,
    find_labels,
    get_label,
    history,
    labels_of,
    put_label,
    put_labels,
    recent_labels,
    restore_label,
)
from catalog.texts import without_refused
from loaders.errors import BadInput

SAE, PRINT = "minilm-l1", "f00d"


def edit(feature: int, name: str = "trees", replaces: int | None = None, **more: object) -> Edit:
    return Edit(SAE, PRINT, feature, name, "", "ada", replaces)._replace(**more)  # type: ignore[arg-type]


def save(catalog: Catalog, feature: int, name: str = "trees", replaces: int | None = None, **more: object) -> Label:
    return put_labels(catalog, [edit(feature, name, replaces, **more)])[0]


def test_a_label_keeps_category_confidence_evidence_and_origin(catalog: Catalog) -> None:
    saved = put_label(
        catalog,
        SAE,
        PRINT,
        7,
        "trees",
        "",
        "ada",
        None,
        category=" plants ",
        confidence=0.75,
        evidence=Evidence("minilm-l1@docs", 12, 3),
        origin=Origin("inherited", "beef", 9, 0.93, "matched by cosine"),
    )
    assert (saved.category, saved.confidence, saved.evidence) == ("plants", 0.75, Evidence("minilm-l1@docs", 12, 3))
    assert saved.origin == Origin("inherited", "beef", 9, 0.93, "matched by cosine")
    assert get_label(catalog, PRINT, 7) == saved
    assert save(catalog, 7, replaces=1).origin.kind == "typed"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"confidence": 1.5}, "A confidence is from 0 to 1, or none: found 1.5"),
        ({"confidence": float("nan")}, "A confidence is from 0 to 1"),
        ({"name": "\u200b"}, r"The label's name must show something: found only U\+200B\."),
        ({"name": "a\u2028b"}, r"The label's name may not hold line breaks: found U\+2028; remove it"),
        ({"name": "a\u2029b"}, r"line breaks: found U\+2029"),
        ({"name": "\u202egnp.exe"}, r"The label's name may not hold changes of direction: found U\+202E; remove it"),
        ({"author": "ada\u2066"}, r"The author's name may not hold changes of direction: found U\+2066"),
        ({"author": "\u3164\ufe0f"}, r"The author's name must show something: found only U\+3164 U\+FE0F"),
        (
            {"category": "\u200b\u200c\u200d\u2060"},
            r"The category must show something: found only U\+200B U\+200C U\+200D …",
        ),
        ({"category": "x" * 61}, "The category may have at most 60 characters"),
        ({"evidence": Evidence("s@d", -1)}, "The evidence must be a place such as sae@dataset/120/7"),
        ({"evidence": Evidence("nope", 3)}, "found 'nope/3'"),
        ({"evidence": Evidence("s@d", 3, 10**10)}, "The evidence must be a place"),
        ({"origin": Origin("guessed")}, "A label is typed, imported, inherited, automatic: found 'guessed'"),
        ({"origin": Origin("inherited")}, "An inherited label names the SAE and the feature"),
        ({"edit_key": "two words"}, "An edit key has 1 to 64 of"),
    ],
)
def test_what_a_label_cannot_say_is_refused(catalog: Catalog, more: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        save(catalog, 7, **more)
    assert get_label(catalog, PRINT, 7) is None


@pytest.mark.parametrize("name", ["👩\u200d🚀", "می\u200cخواهم", "שלום\u200f!", "\u0301", "\ue000"])
def test_marks_that_join_and_turn_what_is_seen_may_stay(catalog: Catalog, name: str) -> None:
    assert save(catalog, 7, name, notes="\u202ea\u202c\u2028b").name == name


def test_many_edits_are_saved_together_in_their_order(catalog: Catalog) -> None:
    save(catalog, 3, "old")
    saved = put_labels(catalog, [edit(9), edit(3, "new", 1), edit(4)])
    assert [(label.feature_id, label.version, label.name) for label in saved] == [
        (9, 1, "trees"),
        (3, 2, "new"),
        (4, 1, "trees"),
    ]
    assert list(labels_of(catalog, PRINT).values()) == [saved[1], saved[2], saved[0]]


def test_one_stale_edit_keeps_all_from_being_saved_and_all_stale_ones_are_told(catalog: Catalog) -> None:
    theirs = [save(catalog, feature, "theirs", author="bob") for feature in (1, 2)]
    with pytest.raises(StaleEdits, match="2 of 3 labels were saved by others in the meantime") as caught:
        put_labels(catalog, [edit(1, "mine"), edit(2, "mine"), edit(5, "mine")])
    assert [each.current for each in caught.value.stale] == theirs
    assert [each.submitted.name for each in caught.value.stale] == ["mine", "mine"]
    assert get_label(catalog, PRINT, 5) is None
    assert len(history(catalog, PRINT, 1)) == 1


def test_two_edits_of_one_feature_at_once_are_refused(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match=r"One feature has two edits at once \(feature 5\)"):
        put_labels(catalog, [edit(5), edit(5, "others")])
    assert get_label(catalog, PRINT, 5) is None


def test_no_edits_save_nothing(catalog: Catalog) -> None:
    assert put_labels(catalog, []) == []


def test_a_retried_edit_is_acknowledged_and_saved_once(catalog: Catalog) -> None:
    first = save(catalog, 7, edit_key="k1")
    assert save(catalog, 7, edit_key="k1") == first
    save(catalog, 7, "later", 1, author="bob")
    assert save(catalog, 7, edit_key="k1") == first  # also when others went on since
    assert [label.version for label in history(catalog, PRINT, 7)] == [2, 1]


def test_a_retried_bulk_edit_saves_only_what_is_not_there_yet(catalog: Catalog) -> None:
    first = save(catalog, 7, edit_key="k1")
    saved = put_labels(catalog, [edit(7, edit_key="k1"), edit(8, edit_key="k2")])
    assert (saved[0], saved[1].feature_id) == (first, 8)
    assert len(recent_labels(catalog)) == 2


def test_an_edit_key_is_for_one_edit_alone(catalog: Catalog) -> None:
    save(catalog, 7, edit_key="k1")
    for other in (edit(8, edit_key="k1"), edit(7, "other text", edit_key="k1")):
        with pytest.raises(BadInput, match="The edit key 'k1' belongs to another edit"):
            put_labels(catalog, [other])
    with pytest.raises(BadInput, match=r"Two edits have the same edit key \('k2'\)"):
        put_labels(catalog, [edit(1, edit_key="k2"), edit(2, edit_key="k2")])


def test_eight_threads_with_the_same_key_save_one_version(catalog: Catalog) -> None:
    found: list[Label] = []
    threads = [threading.Thread(target=lambda: found.append(save(catalog, 7, edit_key="k1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and set(found) == {get_label(catalog, PRINT, 7)}
    assert len(history(catalog, PRINT, 7)) == 1


def test_an_undo_is_a_new_version_that_says_what_an_earlier_one_said(catalog: Catalog) -> None:
    save(catalog, 7, "trees", category="plants", confidence=0.5, notes="with leaves")
    save(catalog, 7, "graphs", 1, author="bob")
    undone = restore_label(catalog, PRINT, 7, 1, "eve", 2)
    assert (undone.version, undone.author, undone.replaces) == (3, "eve", 2)
    assert (undone.name, undone.notes, undone.category, undone.confidence) == ("trees", "with leaves", "plants", 0.5)
    with pytest.raises(StaleEdit):
        restore_label(catalog, PRINT, 7, 2, "ada", 2)
    with pytest.raises(BadInput, match="Version 9 of this label does not exist"):
        restore_label(catalog, PRINT, 7, 9, "ada", 3)


def test_labels_are_found_by_text_category_author_and_origin(catalog: Catalog) -> None:
    save(catalog, 1, "Oak trees", category="plants")
    save(catalog, 2, "50% off", notes="an oak price", author="bob")
    save(catalog, 3, "gone")
    save(catalog, 3, "", 1)
    save(catalog, 4, "roses", origin=Origin("imported", detail="labels.csv"), category="plants")
    put_labels(catalog, [Edit("other", "beef", 1, "oak", "", "ada", None)])
    names = lambda page: [label.name for label in page.labels]  # noqa: E731
    assert names(find_labels(catalog, PRINT, text="OAK")) == ["50% off", "Oak trees"]
    assert names(find_labels(catalog, text="oak")) == ["oak", "50% off", "Oak trees"]
    assert names(find_labels(catalog, PRINT, text="%")) == ["50% off"]
    assert names(find_labels(catalog, PRINT, category="plants", author="ada")) == ["roses", "Oak trees"]
    assert names(find_labels(catalog, PRINT, origin="imported")) == ["roses"]
    page = find_labels(catalog, PRINT, limit=1, offset=1)
    assert (page.total, names(page)) == (3, ["50% off"])


@pytest.mark.parametrize("asked", ["école", "ÉCOLE", "мИр", "MÊME"])
def test_labels_are_found_in_upper_and_lower_case_of_every_script(catalog: Catalog, asked: str) -> None:
    save(catalog, 1, "École", notes="Мир, même 100%_")
    save(catalog, 2, "ecole", notes="мор")
    assert [label.feature_id for label in find_labels(catalog, PRINT, text=asked).labels] == [1]
    assert find_labels(catalog, PRINT, text="0%_").total == 1


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40).map(
    lambda text: without_refused(text).strip()
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3), TEXTS, st.one_of(st.none(), st.integers(1, 4)), st.sampled_from([None, "a", "b", "c"])
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_whatever_is_sent_histories_stay_whole_and_keys_single(
    catalog: Catalog, steps: list[tuple[int, str, int | None, str | None]]
) -> None:
    sae = uuid.uuid4().hex
    model: dict[int, list[str]] = {}
    keys: dict[str, tuple[int, str]] = {}
    for feature, name, replaces, short in steps:
        key = f"{sae}-{short}" if short else None
        sent = Edit(SAE, sae, feature, name, "", "ada", replaces, edit_key=key)
        known = model.setdefault(feature, [])
        if key in keys:
            if keys[key] == (feature, name):
                assert put_labels(catalog, [sent])[0].name == name
            else:
                with pytest.raises(BadInput):
                    put_labels(catalog, [sent])
        elif (replaces or 0) == len(known):
            assert put_labels(catalog, [sent])[0].version == len(known) + 1
            known.append(name)
            if key:
                keys[key] = feature, name
        else:
            with pytest.raises((BadInput, StaleEdits)):
                put_labels(catalog, [sent])
    for feature, names in model.items():
        assert [label.name for label in history(catalog, sae, feature)] == names[::-1]
    assert {f: label.name for f, label in labels_of(catalog, sae).items()} == {
        f: names[-1] for f, names in model.items() if names and names[-1]
    }
