"""Votes: one of each person, changeable. Comments: only added, once each. Both are on versions of labels."""

import threading

import pytest

from catalog.catalog import Catalog
from catalog.comments import comment_counts, comments_on, put_comment
from catalog.labels import put_label
from catalog.votes import put_vote, scores_of, votes_on
from loaders.errors import BadInput

PRINT = "f00d"


@pytest.fixture(autouse=True)
def label(catalog: Catalog) -> None:
    put_label(catalog, "sae", PRINT, 7, "trees", "", "ada", None)


def test_a_person_has_one_vote_on_a_version_and_may_change_it(catalog: Catalog) -> None:
    put_vote(catalog, PRINT, 7, 1, "ada", 1)
    put_vote(catalog, PRINT, 7, 1, "bob", 1)
    put_vote(catalog, PRINT, 7, 1, " ada ", -1)
    assert [(vote.person, vote.value) for vote in votes_on(catalog, PRINT, 7)] == [("bob", 1), ("ada", -1)]
    assert scores_of(catalog, PRINT) == {7: 0}


def test_a_vote_can_be_taken_back(catalog: Catalog) -> None:
    put_vote(catalog, PRINT, 7, 1, "ada", 1)
    put_vote(catalog, PRINT, 7, 1, "ada", 0)
    put_vote(catalog, PRINT, 7, 1, "ada", 0)
    assert votes_on(catalog, PRINT, 7) == []
    assert scores_of(catalog, PRINT) == {}


def test_only_votes_on_the_newest_label_count_for_its_score(catalog: Catalog) -> None:
    put_vote(catalog, PRINT, 7, 1, "ada", 1)
    put_label(catalog, "sae", PRINT, 7, "roots", "", "bob", 1)
    assert scores_of(catalog, PRINT) == {}
    put_vote(catalog, PRINT, 7, 2, "ada", -1)
    assert scores_of(catalog, PRINT) == {7: -1}
    assert [vote.version for vote in votes_on(catalog, PRINT, 7)] == [2, 1]


def test_eight_votes_of_one_person_at_once_are_one(catalog: Catalog) -> None:
    threads = [threading.Thread(target=put_vote, args=(catalog, PRINT, 7, 1, "ada", 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores_of(catalog, PRINT) == {7: 1}


def test_a_vote_is_on_a_version_that_is_there(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match="Version 2 of this label does not exist"):
        put_vote(catalog, PRINT, 7, 2, "ada", 1)
    with pytest.raises(BadInput, match="A vote is 1, -1 or 0 to take it back: found 5"):
        put_vote(catalog, PRINT, 7, 1, "ada", 5)
    with pytest.raises(BadInput, match="The voter's name is empty"):
        put_vote(catalog, PRINT, 7, 1, "  ", 1)


def test_comments_are_kept_in_their_order_with_the_version_they_are_on(catalog: Catalog) -> None:
    first = put_comment(catalog, PRINT, 7, 1, "Are they?\n<b>bold</b>", "bob")
    put_label(catalog, "sae", PRINT, 7, "roots", "", "ada", 1)
    second = put_comment(catalog, PRINT, 7, 2, "Now they are.", "bob")
    assert comments_on(catalog, PRINT, 7) == [first, second]
    assert (first.text, first.version, second.version) == ("Are they?\n<b>bold</b>", 1, 2)
    assert comment_counts(catalog, PRINT) == {7: 2}


def test_a_retried_comment_is_kept_once(catalog: Catalog) -> None:
    first = put_comment(catalog, PRINT, 7, 1, "Are they?", "bob", edit_key="k1")
    assert put_comment(catalog, PRINT, 7, 1, "Are they?", "bob", edit_key="k1") == first
    assert comments_on(catalog, PRINT, 7) == [first]
    with pytest.raises(BadInput, match="The edit key 'k1' belongs to another comment"):
        put_comment(catalog, PRINT, 7, 1, "Others", "bob", edit_key="k1")


def test_a_comment_says_something_on_a_version_that_is_there(catalog: Catalog) -> None:
    for words, version, text in [
        ("The comment is empty", 1, " \n"),
        ("may have at most 4,000 characters", 1, "x" * 4001),
        ("may not hold control characters: found U\\+0000", 1, "a\x00"),
        ("Version 3 of this label does not exist", 3, "fine"),
    ]:
        with pytest.raises(BadInput, match=words):
            put_comment(catalog, PRINT, 7, version, text, "bob")
    assert comments_on(catalog, PRINT, 7) == []
