"""Labels keep every version, and of two people who save at once exactly one wins and the other is told."""

import multiprocessing
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from catalog.catalog import Catalog
from catalog.errors import StaleEdit
from catalog.labels import Label, get_label, history, labels_of, put_label
from loaders.errors import BadInput

SAE = "minilm-l1"
PRINT = "f00d"


def save(catalog: Catalog, name: str, replaces: int | None, notes: str = "", author: str = "ada") -> Label:
    return put_label(catalog, SAE, PRINT, 7, name, notes, author, replaces)


def test_the_first_label_is_version_one_and_says_who_and_when(catalog: Catalog) -> None:
    before = datetime.now(UTC)
    saved = save(catalog, "  trees ", None, notes="fires on\n\tnodes")
    assert saved[:6] == (SAE, 7, 1, "trees", "fires on\n\tnodes", "ada")
    assert saved.replaces is None
    assert before - timedelta(seconds=1) <= saved.created_at <= datetime.now(UTC)
    assert get_label(catalog, PRINT, 7) == saved


def test_every_version_stays_in_the_history_newest_first(catalog: Catalog) -> None:
    saved = [save(catalog, "trees", None), save(catalog, "nodes", 1, author="bob"), save(catalog, "graphs", 2)]
    assert history(catalog, PRINT, 7) == saved[::-1]
    assert [label.version for label in saved] == [1, 2, 3]
    assert [label.replaces for label in saved] == [None, 1, 2]


def test_labels_survive_closing_the_catalog(url: str) -> None:
    first = Catalog(url)
    saved = save(first, "trees", None)
    first.close()
    second = Catalog(url)
    assert get_label(second, PRINT, 7) == saved
    second.close()


def test_a_feature_without_label_has_none(catalog: Catalog) -> None:
    assert get_label(catalog, PRINT, 7) is None
    assert history(catalog, PRINT, 7) == []
    assert labels_of(catalog, PRINT) == {}


@pytest.mark.parametrize("seen", [None, 1])
def test_a_stale_edit_is_refused_with_both_texts_and_changes_nothing(catalog: Catalog, seen: int | None) -> None:
    save(catalog, "trees", None)
    current = save(catalog, "nodes", 1, author="bob")
    with pytest.raises(StaleEdit, match="bob saved version 2 of this label in the meantime") as caught:
        save(catalog, "graphs", seen, notes="mine")
    assert caught.value.current == current
    assert (caught.value.submitted.name, caught.value.submitted.notes) == ("graphs", "mine")
    assert get_label(catalog, PRINT, 7) == current


@pytest.mark.parametrize("seen", [0, -1, 2, 10**30])
def test_a_version_that_never_was_cannot_be_replaced(catalog: Catalog, seen: int) -> None:
    save(catalog, "trees", None)
    with pytest.raises(BadInput, match=f"Version {seen} of this label does not exist"):
        save(catalog, "nodes", seen)
    assert len(history(catalog, PRINT, 7)) == 1


def race(url: str, author: str, start: "threading.Barrier", won: list[str], lost: list[StaleEdit]) -> None:
    catalog = Catalog(url)
    start.wait()
    try:
        save(catalog, f"by {author}", 1, author=author)
        won.append(author)
    except StaleEdit as error:
        lost.append(error)
    finally:
        catalog.close()


def test_of_eight_threads_that_save_at_once_exactly_one_wins(url: str) -> None:
    catalog = Catalog(url)
    save(catalog, "trees", None)
    start, won, lost = threading.Barrier(8), [], []
    writers = [threading.Thread(target=race, args=(url, f"a{i}", start, won, lost)) for i in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert len(lost) == 7
    assert {error.current.name for error in lost} == {f"by {won[0]}"}
    assert [label.version for label in history(catalog, PRINT, 7)] == [2, 1]
    catalog.close()


def edit_ten_times(url: str, author: str, start: "multiprocessing.synchronize.Barrier") -> None:
    catalog = Catalog(url)
    start.wait()
    for i in range(10):
        while True:
            seen = get_label(catalog, PRINT, 7)
            try:
                save(catalog, f"{author} {i}", seen.version if seen else None, author=author)
                break
            except StaleEdit:
                continue
    catalog.close()


def test_processes_that_retry_after_stale_edits_lose_no_edit(url: str) -> None:
    Catalog(url).close()
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    writers = [spawn.Process(target=edit_ten_times, args=(url, f"p{i}", start)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    catalog = Catalog(url)
    saved = history(catalog, PRINT, 7)[::-1]
    assert [writer.exitcode for writer in writers] == [0] * 3
    assert [label.version for label in saved] == list(range(1, 31))
    assert {label.name for label in saved} == {f"p{p} {i}" for p in range(3) for i in range(10)}
    catalog.close()


def test_emptying_name_and_notes_clears_the_label_but_keeps_the_history(catalog: Catalog) -> None:
    save(catalog, "trees", None)
    cleared = save(catalog, " ", 1, notes=" \n")
    assert cleared.is_cleared
    assert get_label(catalog, PRINT, 7) == cleared
    assert labels_of(catalog, PRINT) == {}
    assert save(catalog, "nodes", 2).version == 3
    assert labels_of(catalog, PRINT)[7].name == "nodes"


def test_labels_of_an_sae_are_its_newest_ones_by_feature(catalog: Catalog) -> None:
    save(catalog, "trees", None)
    save(catalog, "nodes", 1)
    put_label(catalog, SAE, PRINT, 2, "commas", "", "ada", None)
    put_label(catalog, "other", "beef", 7, "somebody else's", "", "ada", None)
    assert {f: label.name for f, label in labels_of(catalog, PRINT).items()} == {2: "commas", 7: "nodes"}


def test_markup_and_any_script_are_stored_verbatim(catalog: Catalog) -> None:
    name = "<script>alert('1')</script> & \u6728 \U0001f333"
    save(catalog, name, None, notes="a'; drop table labels; --")
    found = get_label(catalog, PRINT, 7)
    assert found is not None
    assert (found.name, found.notes) == (name, "a'; drop table labels; --")


@pytest.mark.parametrize(
    ("name", "notes", "author", "words"),
    [
        ("x" * 100_000, "", "ada", "The label's name may have at most 200 characters: found 100,000."),
        ("x" * 201, "", "ada", "at most 200 characters: found 201"),
        ("x", "y" * 10_001, "ada", "The notes may have at most 10,000 characters: found 10,001."),
        ("two\nlines", "", "ada", "The label's name may not hold control characters: found U\\+000A"),
        ("bell\x07", "", "ada", "found U\\+0007"),
        ("half \ud83d", "", "ada", "found U\\+D83D"),
        ("x", "null \x00", "ada", "The notes may not hold control characters: found U\\+0000"),
        ("", "notes alone", "ada", "Notes need a name"),
        ("x", "", "  ", "the author's name is empty"),
        ("x", "", "a" * 101, "The author's name may have at most 100 characters"),
    ],
)
def test_a_text_that_cannot_be_a_label_is_refused_in_one_sentence(
    catalog: Catalog, name: str, notes: str, author: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        save(catalog, name, None, notes=notes, author=author)
    assert get_label(catalog, PRINT, 7) is None


def test_the_longest_texts_are_kept_whole(catalog: Catalog) -> None:
    save(catalog, "\U0001f333" * 200, None, notes="\u6728" * 10_000)
    found = get_label(catalog, PRINT, 7)
    assert found is not None
    assert (len(found.name), len(found.notes)) == (200, 10_000)


def test_the_database_itself_forbids_a_gap_in_the_history(catalog: Catalog) -> None:
    columns = "sae_fingerprint, feature_id, version, sae_id, name, notes, author, created_at, replaces"
    row = f"insert into labels ({columns}) values ('p', 1, 3, 's', 'n', '', 'ada', '2026-01-01 00:00:00', 2)"
    with pytest.raises(Exception, match=r"(?i)foreign key"), catalog.write() as session:
        session.execute(text(row))
