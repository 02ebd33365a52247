"""What importing a dictionary would change, feature by feature, before anything is changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from catalog.dictionary.entry import EMPTY, TEXT_FIELDS, Dictionary, Entry
from catalog.evidence import place_of
from catalog.labels import Label


class Change(NamedTuple):
    """What happens to one feature: `old` and `new` are its texts (`old` is None where it never had a label), `seen` the
    version that the comparison saw, and `reason` says why a conflict is one."""

    feature_id: int
    old: dict[str, Any] | None
    new: dict[str, Any]
    seen: int | None
    old_author: str | None
    entry: Entry
    reason: str = ""

    @property
    def fields(self) -> list[str]:
        """The fields that differ."""
        return [field for field in TEXT_FIELDS if (self.old or EMPTY)[field] != self.new[field]]


class Differences(NamedTuple):
    """All entries of a file by what they would do; each in order of features.

    - added: no label was ever saved for the feature;
    - changed: its label says something else, and is the very version that the file was written from, or the file
      does not say which it was written from;
    - unchanged: its label says the same;
    - conflicts: somebody saved another text since the file was written, or removed the label.
    """

    added: list[Change]
    changed: list[Change]
    unchanged: list[Change]
    conflicts: list[Change]

    @property
    def digest(self) -> str:
        """12 characters that stand for exactly these changes to exactly these versions."""
        parts = [
            [kind, each.feature_id, each.seen, each.new, each.entry.author]
            for kind, group in zip(self._fields, self, strict=True)
            for each in group
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def texts_of(label: Label) -> dict[str, Any]:
    """What a saved label says, in the fields of a file; a cleared one says nothing."""
    if label.is_cleared:
        return dict(EMPTY)
    return {
        "name": label.name,
        "category": label.category,
        "notes": label.notes,
        "confidence": label.confidence,
        "evidence": place_of(label.evidence),
    }


def compare(found: Dictionary, current: Mapping[int, Label]) -> Differences:
    """Compare a file with the newest version of every label, cleared ones included; nothing is changed."""
    result = Differences([], [], [], [])
    for feature, entry in sorted(found.entries.items()):
        label = current.get(feature)
        old = texts_of(label) if label else None
        new = {**(old or EMPTY), **entry.values}
        new = new if new["name"] or new["notes"] else dict(EMPTY)
        change = Change(feature, old, new, label.version if label else None, label.author if label else None, entry)
        if old == new:
            result.unchanged.append(change)
        elif label is None:
            result.added.append(change)
        elif reason := _conflict(label, entry):
            result.conflicts.append(change._replace(reason=reason))
        else:
            result.changed.append(change)
    return result


def _conflict(label: Label, entry: Entry) -> str:
    if entry.version is not None and entry.version != label.version:
        return f"the file was written from version {entry.version}; {label.author} saved version {label.version} since"
    if not label.name and entry.version is None:
        return f"{label.author} removed this label in version {label.version}"
    return ""
