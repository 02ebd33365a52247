"""Taking back what was saved: each label says again what it said before, as a version of its own."""

from collections.abc import Sequence

from catalog.catalog import Catalog
from catalog.label_text import Edit, Label
from catalog.labels import Version, get_versions, put_labels
from loaders.errors import BadInput

KEPT = ("name", "notes", "category", "confidence", "evidence", "origin")


def undo_edits(
    catalog: Catalog, sae_id: str, sae_fingerprint: str, saved: Sequence[Version], author: str
) -> list[Label]:
    """Save for each of these versions what the one that it replaced said (nothing, where it was the first).

    All or none, in one transaction. Raises StaleEdits where somebody has saved one of these labels since, and BadInput
    for a version that is not there.
    """
    found = get_versions(catalog, sae_fingerprint, saved)
    missing = [version for version in saved if version not in found]
    if missing:
        raise BadInput(
            f"Version {missing[0][1]} of the label of feature {missing[0][0]} does not exist: reload the page."
        )
    before = get_versions(
        catalog, sae_fingerprint, [(f, label.replaces) for (f, _), label in found.items() if label.replaces]
    )
    edits = []
    for feature, version in saved:
        replaced = found[feature, version].replaces
        edit = Edit(sae_id, sae_fingerprint, feature, "", "", author, version)
        if replaced is not None:
            earlier = before[feature, replaced]
            edit = edit._replace(**{field: getattr(earlier, field) for field in KEPT})
        edits.append(edit)
    return put_labels(catalog, edits)
