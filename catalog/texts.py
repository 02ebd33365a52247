"""What people write into the catalog, checked: lengths and characters, with one sentence for what cannot be saved."""

import re
import unicodedata

from loaders.errors import BadInput

NAME_LIMIT = 200
NOTES_LIMIT = 10_000
AUTHOR_LIMIT = 100
CATEGORY_LIMIT = 60
COMMENT_LIMIT = 4_000
KEY_LIMIT = 64
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(point) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for point in range(first, last + 1)
}
"""Letters, marks and signs that show nothing: fillers, a blank braille cell, selectors of another sign's variant."""
_KEY = re.compile(r"[A-Za-z0-9._:-]+")


def check_text(what: str, value: str, limit: int, allowed: str = "") -> None:
    """Raise BadInput for a text that is too long, or that has the `fault` of its characters."""
    if len(value) > limit:
        raise BadInput(f"{what} may have at most {limit:,} characters: found {len(value):,}.")
    if found := fault(value, allowed):
        raise BadInput(f"{what} {found}.")


def fault(value: str, allowed: str = "") -> str:
    """What is wrong with a text's characters, as the rest of a sentence; "" where nothing is.

    No text holds control characters other than the `allowed` ones. Where a line break is none of these, the text is one
    line: it breaks nowhere, keeps its direction, and shows something unless it is blank.
    """
    is_line = "\n" not in allowed
    for character in value:
        kind = _refused(character, is_line)
        if kind and character not in allowed:
            return f"may not hold {kind}: found U+{ord(character):04X}; remove it"
    if is_line and value.strip() and not any(map(_is_visible, value)):
        points = " ".join(f"U+{ord(character):04X}" for character in value[:3])
        return f"must show something: found only {points}{' …' if len(value) > 3 else ''}"
    return ""


def without_refused(value: str) -> str:
    """The characters of a text that one line may hold; "" where none of them shows anything."""
    kept = "".join(character for character in value if not _refused(character, True))
    return kept if any(map(_is_visible, kept)) else ""


def _refused(character: str, is_line: bool) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cs"):
        return "control characters"
    if is_line and category in ("Zl", "Zp"):
        return "line breaks"
    return "changes of direction" if is_line and character in _DIRECTIONS else ""


def _is_visible(character: str) -> bool:
    category = unicodedata.category(character)
    is_sign = category[0] not in "CZ" or category in ("Co", "Cn")  # a font, or a newer Unicode, may show those
    return is_sign and character not in _BLANK


def check_person(what: str, value: str) -> str:
    """The stripped name of whoever does something. Raises BadInput where it is empty, too long or not text."""
    value = value.strip()
    check_text(f"{what}'s name", value, AUTHOR_LIMIT)
    if not value:
        raise BadInput(f"{what}'s name is empty: say who it is.")
    return value


def check_confidence(value: float | None) -> None:
    """Raise BadInput for a confidence that is no share."""
    if value is not None and not 0 <= value <= 1:
        raise BadInput(f"A confidence is from 0 to 1, or none: found {value}.")


def check_edit_key(value: str | None) -> None:
    """Raise BadInput for an edit key that a client cannot have made."""
    if value is not None and (len(value) > KEY_LIMIT or not _KEY.fullmatch(value)):
        raise BadInput(f"An edit key has 1 to {KEY_LIMIT} of A-Z a-z 0-9 . _ : - (a UUID, for example).")


def check_feature(sae_fingerprint: str, feature_id: int, what: str = "A label") -> None:
    """Raise BadInput for what is no feature of any SAE."""
    if feature_id < 0 or not sae_fingerprint:
        raise BadInput(f"{what} needs an SAE fingerprint and a feature id from 0: found feature {feature_id}.")
