"""Passwords are kept as argon2id hashes and matched in their normal form."""

import pytest

from dashboard.access.passwords import hash_password, matches
from loaders.errors import BadInput


def test_a_hash_holds_no_password_and_matches_it_alone() -> None:
    kept = hash_password("correct horse battery")
    assert kept.startswith("$argon2id$") and "horse" not in kept
    assert matches("correct horse battery", kept)
    assert not matches("correct horse batterY", kept)
    assert not matches("", kept)


def test_the_same_letters_match_however_a_keyboard_writes_them() -> None:
    assert matches("Ångström cafe\u0301", hash_password("A\u030angstro\u0308m café"))


@pytest.mark.parametrize("password", ["short", "x" * 201, "aaaaaaaaaaaa", ""])
def test_a_weak_password_is_refused_in_a_sentence(password: str) -> None:
    with pytest.raises(BadInput, match="password"):
        hash_password(password)


def test_what_is_no_hash_matches_nothing() -> None:
    assert not matches("correct horse battery", "not a hash")
    assert not matches("correct horse battery", None)
