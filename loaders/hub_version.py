"""Versions and ranges of a hub's artifacts: semantic versioning, with the ranges that package managers understand."""

import re
from collections.abc import Callable
from typing import NamedTuple

from semver import Version

from loaders.errors import BadInput

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
LONGEST = 100  # characters of a version or a range
PART = r"(\d{1,9}|[xX*])"
TERM = re.compile(rf"(\^|~|>=|<=|>|<|==?|){PART}(?:\.{PART}(?:\.{PART}(?:-([0-9A-Za-z.-]+))?)?)?")
SPACED_OPERATOR = re.compile(r"(\^|~|>=|<=|>|<|==?)\s+")


class Range(NamedTuple):
    """All of `bounds` must hold; `text` is how it was written."""

    text: str
    bounds: tuple[tuple[str, Version], ...]

    def allows(self, version: Version) -> bool:
        """Whether a version lies within. A pre-release does only where a bound names a pre-release of the same version."""
        if version.prerelease and not any(
            bound.prerelease and bound.to_tuple()[:3] == version.to_tuple()[:3] for _, bound in self.bounds
        ):
            return False
        return all(COMPARE[operator](version, bound) for operator, bound in self.bounds)


COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    "=": lambda version, bound: version == bound,
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    ">": lambda version, bound: version > bound,
    "<": lambda version, bound: version < bound,
}


def read_version(text: str) -> Version:
    """A version such as 1.2.3 or 2.0.0-rc.1 (https://semver.org); raises BadInput for anything else.

    Build marks (which do not order versions) and capitals (which not every disk tells apart) are refused too.
    """
    if len(text) > LONGEST or not Version.is_valid(text) or "+" in text or text != text.lower():
        raise BadInput(f"'{text[:LONGEST]}' is no version: wanted MAJOR.MINOR.PATCH, such as 1.0.0 or 2.0.0-rc.1.")
    return Version.parse(text)


def read_range(text: str) -> Range:
    """A range: `1.2.3`, `1`, `1.2.x`, `^1.2`, `~1.2`, `>=1,<2`, `*`; parts are joined by commas or spaces.

    `^` keeps the first number that is not 0, `~` the minor version. Raises BadInput for what is no range.
    """
    terms = re.split(r"\s*,\s*|\s+", SPACED_OPERATOR.sub(r"\1", text.strip()[: LONGEST + 1]))
    if len(text) > LONGEST or not all(terms):
        raise _no_range(text)
    return Range(text, tuple(bound for term in terms for bound in _bounds(term, text)))


def read_reference(text: str) -> tuple[str, Range]:
    """`name` or `name@range`; raises BadInput for anything else."""
    name, _, wanted = text.partition("@")
    if not NAME.fullmatch(name):
        raise BadInput(f"'{text[:LONGEST]}' names no artifact: wanted NAME or NAME@RANGE, such as my-sae@^1.")
    return name, read_range(wanted if "@" in text else "*")


def _bounds(term: str, text: str) -> list[tuple[str, Version]]:
    found = TERM.fullmatch(term)
    if found is None:
        raise _no_range(text)
    operator, *numbers, prerelease = found.groups()
    given: list[int] = []
    for number in numbers:
        if number is None or not number.isdigit():
            break
        given.append(int(number))
    if any(number is not None and number.isdigit() for number in numbers[len(given) :]):  # such as 1.x.3
        raise _no_range(text)
    if not given:
        if operator in ("", "=", "==", ">=", "^", "~"):
            return []
        raise _no_range(text)
    try:
        major, minor, patch = [*given, 0, 0][:3]
        low = Version(major, minor, patch, prerelease)
    except ValueError as error:
        raise _no_range(text) from error
    if operator == "^":
        kept = next((place for place, number in enumerate(given) if number), len(given) - 1)
        return [(">=", low), ("<", _after(given, kept))]
    if operator == "~":
        return [(">=", low), ("<", _after(given, min(1, len(given) - 1)))]
    if len(given) == 3:
        return [(operator.replace("==", "=") or "=", low)]
    after = _after(given, len(given) - 1)
    return {">=": [(">=", low)], "<": [("<", low)], ">": [(">=", after)], "<=": [("<", after)]}.get(
        operator, [(">=", low), ("<", after)]
    )


def _after(given: list[int], place: int) -> Version:
    """The first version beyond those that share the numbers up to `place`."""
    major, minor, patch = [*given[:place], given[place] + 1, 0, 0][:3]
    return Version(major, minor, patch)


def _no_range(text: str) -> BadInput:
    return BadInput(
        f"'{text[:LONGEST]}' is no range of versions: wanted such as 1.2.3, ^1, ~1.2, >=1,<2 or * (any release)."
    )
