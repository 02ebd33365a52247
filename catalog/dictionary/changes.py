"""The differences between a file and the catalog as plain values, for programs that show or check them."""

from typing import Any

from catalog.dictionary.differences import Change, Differences
from catalog.dictionary.importing import Importer


def changes_of(differences: Differences, importer: Importer) -> dict[str, Any]:
    """Every change with old and new, the unchanged ones as a number."""
    shown = {
        kind: [_change(each, importer) for each in getattr(differences, kind)]
        for kind in ("added", "changed", "conflicts")
    }
    return {**shown, "unchanged": len(differences.unchanged)}


def _change(change: Change, importer: Importer) -> dict[str, Any]:
    return {
        "feature": change.feature_id,
        "line": change.entry.line,
        "fields": change.fields,
        "old": change.old,
        "new": change.new,
        "replaces": change.seen,
        "old_author": change.old_author,
        "author": importer.author_of(change.entry),
        "older_versions": len(change.entry.earlier) if change.seen is None else 0,
        "reason": change.reason,
    }
