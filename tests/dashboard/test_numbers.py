"""Numbers are written the same way on every page."""

import math

import pytest

from dashboard.components.numbers import count, figures, percent, plural


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (0.99951, "1.00"),
        (9.996, "10.0"),
        (123.4, "123"),
        (1234.5, "1,230"),
        (-0.5, "−0.500"),
        (0.00001234, "1.23e−05"),
        (12_345_678, "1.23e+07"),
        (math.nan, "–"),
        (None, "–"),
        (math.inf, "∞"),
    ],
)
def test_values_keep_three_significant_digits(value: float | None, text: str) -> None:
    assert figures(value) == text


def test_shares_are_percentages() -> None:
    assert percent(0.012345) == "1.23 %"
    assert percent(1.0) == "100 %"
    assert percent(None) == "–"


def test_counts_separate_thousands_and_agree_with_their_noun() -> None:
    assert count(1234567) == "1,234,567"
    assert plural(1, "feature") == "1 feature"
    assert plural(3072, "feature") == "3,072 features"
