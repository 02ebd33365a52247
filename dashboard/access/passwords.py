"""Passwords as argon2id hashes: made, checked in the same time for every name, refused when they are too weak."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from loaders.errors import BadInput

SHORTEST, LONGEST = 10, 200
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)  # OWASP's second choice: 19 MiB
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$DdaxEW9aokNe4IXjpCnavA$XstlABWjs6DGNV0AIwjtDLLx9tVjkFvyYb+zJLqBFKU"
"""The hash of a password that was thrown away: names that do not exist are compared with it."""


def hash_password(password: str) -> str:
    """The hash to keep. Raises BadInput for a password that cannot be."""
    return HASHER.hash(check_password(password))


def check_password(password: str) -> str:
    """The password in its normal form (NFC), so that it matches from every keyboard. Raises BadInput."""
    normal = unicodedata.normalize("NFC", password)
    if not SHORTEST <= len(normal) <= LONGEST:
        raise BadInput(f"A password has {SHORTEST} to {LONGEST} characters: found {len(normal)}.")
    if len(set(normal)) < 4:
        raise BadInput("A password needs at least four different characters.")
    return normal


def matches(password: str, kept: str | None) -> bool:
    """Whether the password is the one that was hashed; takes as long where there is no hash to compare with."""
    normal = unicodedata.normalize("NFC", password)[:LONGEST]
    try:
        return HASHER.verify(kept or NOBODYS_HASH, normal) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
