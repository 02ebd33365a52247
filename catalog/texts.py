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
_KEY = re.compile(r"[A-Za-z0-9._:-]+")


def check_text(what: str, value: str, limit: int, allowed: str = "") -> None:
    """Raise BadInput for a text that is too long or holds control characters other than the `allowed` ones."""
    if len(value) > limit:
        raise BadInput(f"{what} may have at most {limit:,} characters: found {len(value):,}.")
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in allowed:
            raise BadInput(f"{what} may not hold control characters: found U+{ord(character):04X}; remove it.")


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
