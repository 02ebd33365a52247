"""Where a label can be seen to hold: what the catalog keeps of it, and the text that files and pages write it as."""

import re

from catalog.label_text import Evidence
from loaders.errors import BadInput

STORE_LIMIT = 255
LARGEST = 10**10 - 1
_STORE = re.compile(r"[a-z0-9._-]+@[a-z0-9._-]+")
_PLACE = re.compile(r"([^/]+)/([0-9]{1,10})(?:/([0-9]{1,10}))?", re.ASCII)


def check_evidence(evidence: Evidence) -> None:
    """Raise BadInput for a place that no store could have; one whose store is gone may stay."""
    store, context, position = evidence
    is_store = len(store) <= STORE_LIMIT and _STORE.fullmatch(store)
    if not is_store or not 0 <= context <= LARGEST or not 0 <= (position or 0) <= LARGEST:
        raise BadInput(f"The evidence must be a place such as sae@dataset/120/7: found {place_of(evidence)[:80]!r}.")


def place_of(evidence: Evidence | None) -> str:
    """The place as text, `<store>/<context>[/<position>]`; "" for nowhere."""
    return "" if evidence is None else "/".join(str(part) for part in evidence if part is not None)


def read_place(text: str) -> Evidence | None:
    """The evidence that `place_of` wrote. Raises BadInput for another text."""
    if not text:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise BadInput(f"The evidence must be a place such as sae@dataset/120/7: found {text[:80]!r}.")
    store, context, position = found.groups()
    evidence = Evidence(store, int(context), None if position is None else int(position))
    check_evidence(evidence)
    return evidence
