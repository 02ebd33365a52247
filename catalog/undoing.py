"""Taking back what was saved: each label says again what it said before, as a version of its own."""

from collections.abc import Sequence

from sqlalchemy import tuple_

from catalog.catalog import Catalog
from catalog.label_text import Edit, Label, label_of
from catalog.label_writes import in_parts
from catalog.labels import put_labels
from catalog.records import LabelRecord
from loaders.errors import BadInput

Version = tuple[int, int]
"""A feature and a version of its label."""


def undo_edits(
    catalog: Catalog, sae_id: str, sae_fingerprint: str, saved: Sequence[Version], author: str
) -> list[Label]:
    """Save for each of these versions what the one that it replaced said (nothing, where it was the first).

    All or none, in one transaction. Raises StaleEdits where somebody has saved one of these labels since, and BadInput
    for a version that is not there.
    """
    found = _versions(catalog, sae_fingerprint, saved)
    missing = [version for version in saved if version not in found]
    if missing:
        raise BadInput(
            f"Version {missing[0][1]} of the label of feature {missing[0][0]} does not exist: reload the page."
        )
    before = _versions(
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


KEPT = ("name", "notes", "category", "confidence", "evidence", "origin")


def _versions(catalog: Catalog, sae_fingerprint: str, wanted: Sequence[Version]) -> dict[Version, Label]:
    found: dict[Version, Label] = {}
    with catalog.read() as session:
        for part in in_parts(wanted):
            key = tuple_(LabelRecord.feature_id, LabelRecord.version)
            query = LabelRecord.sae_fingerprint == sae_fingerprint, key.in_(part)
            for record in session.query(LabelRecord).where(*query):
                found[record.feature_id, record.version] = label_of(record)
    return found
