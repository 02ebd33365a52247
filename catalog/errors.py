"""What can go wrong in the catalog, each as one sentence for the user."""

from typing import TYPE_CHECKING

from loaders.errors import LoupeError

if TYPE_CHECKING:
    from catalog.label_text import Label


class CatalogUnavailable(LoupeError):
    """The database cannot be reached, is locked for too long, is full or is not a catalog."""


class CatalogTooNew(LoupeError):
    """The catalog was written by a later version of Loupe."""

    def __init__(self, url: str, found: int, known: int) -> None:
        super().__init__(
            f"The catalog at {url} has schema version {found}, but this Loupe reads up to version {known}: "
            "update Loupe, or name another catalog with LOUPE_DATABASE_URL."
        )
        self.found = found
        self.known = known


class StaleEdit(LoupeError):
    """Somebody saved the label since the editor last saw it; nothing was written, and both texts are kept here."""

    def __init__(self, current: "Label", submitted: "Label") -> None:
        seen = "no label" if submitted.replaces is None else f"version {submitted.replaces}"
        super().__init__(
            f"{current.author} saved version {current.version} of this label in the meantime (you edited {seen}): "
            "read both texts and save again."
        )
        self.current = current
        self.submitted = submitted


class StaleEdits(LoupeError):
    """Some of several edits are stale; none was saved, and each of those is here with both texts."""

    def __init__(self, stale: list[StaleEdit], edits: int) -> None:
        super().__init__(
            f"{len(stale):,} of {edits:,} labels were saved by others in the meantime: nothing was saved, read those texts"
            " and save again."
        )
        self.stale = stale


class UnderReview(LoupeError):
    """The feature is labelled double-blind and nothing is decided yet: a label saved now would be seen."""

    def __init__(self, feature_id: int) -> None:
        super().__init__(
            f"Feature {feature_id} is labelled double-blind: nothing is saved openly before two people have spoken unseen by "
            "each other. Take it from the queue, or decide where they differ."
        )
        self.feature_id = feature_id


class BackupDamaged(LoupeError):
    """A backup does not hold what it says it holds; nothing was changed."""


class NotThere(LoupeError):
    """The person, token, list or review that was named is not in the catalog."""
