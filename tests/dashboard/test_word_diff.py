"""Word by word: both texts can always be put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.word_diff import word_diff

WORDS = st.lists(st.sampled_from(["oak", " ", "\n", "tree", "é", ",", "the", "  "]), max_size=80).map("".join)


@given(st.one_of(WORDS, st.text(max_size=200)), st.one_of(WORDS, st.text(max_size=200)))
def test_both_texts_come_back(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(text for kind, text in pieces if kind != "new") == old
    assert "".join(text for kind, text in pieces if kind != "gone") == new
    assert all(text for _, text in pieces)


@pytest.mark.parametrize("count", [3_000, 60_000])
def test_long_texts_come_back_too(count: int) -> None:
    old, new = "a line of words\n" * count, "a line of words\n" * (count - 1) + "the last one"
    pieces = word_diff(old, new)
    assert "".join(text for kind, text in pieces if kind != "new") == old
    assert "".join(text for kind, text in pieces if kind != "gone") == new


def test_only_the_word_that_changed_is_marked() -> None:
    assert word_diff("tall oak tree", "tall elm tree") == [
        ("same", "tall "),
        ("gone", "oak"),
        ("new", "elm"),
        ("same", " tree"),
    ]
