"""Ranges of versions allow what semantic versioning says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from loaders.errors import BadInput
from loaders.hub_version import read_range, read_reference, read_version

NUMBERS = st.tuples(*[st.integers(0, 3)] * 3)


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.2"]),
        ("=1.2.3", ["1.2.3"], ["1.2.4"]),
        ("1", ["1.0.0", "1.9.9"], ["0.9.9", "2.0.0"]),
        ("1.2", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]),
        ("1.2.x", ["1.2.7"], ["1.3.0"]),
        ("*", ["0.0.1", "9.9.9"], ["1.0.0-rc.1"]),
        ("^1.2.3", ["1.2.3", "1.9.0"], ["1.2.2", "2.0.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0", ["0.0.0", "0.9.0"], ["1.0.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1", ["1.9.9"], ["2.0.0"]),
        (">=1,<2", ["1.0.0", "1.99.0"], ["0.9.0", "2.0.0"]),
        (">= 1.1 < 1.3", ["1.1.0", "1.2.9"], ["1.0.9", "1.3.0"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("<1.2.0", ["1.1.9"], ["1.2.0", "1.2.0-rc.1"]),
        ("^1.0.0-rc.1", ["1.0.0-rc.1", "1.0.0-rc.2", "1.0.0", "1.4.0"], ["1.0.0-alpha", "1.1.0-rc.1", "2.0.0"]),
    ],
)
def test_a_range_allows_what_it_says(text: str, allowed: list[str], refused: list[str]) -> None:
    found = read_range(text)
    assert [version for version in allowed if not found.allows(Version.parse(version))] == []
    assert [version for version in refused if found.allows(Version.parse(version))] == []


@given(NUMBERS, NUMBERS)
def test_a_caret_never_leaves_the_first_number_that_is_not_zero(low: tuple[int, ...], other: tuple[int, ...]) -> None:
    kept = next((place for place, number in enumerate(low) if number), 2)
    is_inside = other[: kept + 1] == low[: kept + 1] and other >= low
    text = ".".join(map(str, low))
    assert read_range(f"^{text}").allows(Version(*other)) == is_inside


@pytest.mark.parametrize("text", ["", " ", "one", "1.x.3", "1.2.3.4", "^", ">x", "1,,2", "=>1", "1" * 101, "../1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no range of versions"):
        read_range(text)


@pytest.mark.parametrize("text", ["1", "1.2", "v1.2.3", "01.2.3", "1.2.3+build", "1.0.0-RC.1", "1.2.3/..", ""])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no version"):
        read_version(text)


def test_a_reference_is_a_name_with_or_without_a_range() -> None:
    assert read_reference("my-sae")[1].text == "*"
    name, wanted = read_reference("my-sae@>=1,<2")
    assert (name, wanted.text) == ("my-sae", ">=1,<2")
    for text in ("../x", "A", "", "@1", "a/b@1"):
        with pytest.raises(BadInput, match="names no artifact"):
            read_reference(text)
