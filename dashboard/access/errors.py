"""Refusals of the gate, each with the status that a program sees and the sentence that a person reads."""

from loaders.errors import LoupeError


class Unknown(LoupeError):
    """Nobody is logged in, or a token or session is no longer good: 401."""


class Refused(LoupeError):
    """Who asks is known and may not do this: 403."""
