"""Runs beside each other: what the table says of them in words."""

import pytest

from dashboard.training_comparison import duration


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "–"), (44.6, "45 s"), (60, "1 min 0 s"), (3_725, "1 h 2 min"), (59.7, "1 min 0 s")]
)
def test_durations_are_written_in_words(seconds, words):
    assert duration(seconds) == words
