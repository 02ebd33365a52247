"""Between a dictionary file and the catalog: labels out as entries, and the differences in, in one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from catalog.catalog import Catalog
from catalog.dictionary.differences import Change, Differences, texts_of
from catalog.dictionary.entry import EMPTY, Entry
from catalog.evidence import read_place
from catalog.label_text import Edit, Label, Origin, label_of
from catalog.label_writes import DETAIL_LIMIT, newest_versions, save_edits
from catalog.records import LabelRecord

TRIES = 3


class Importer(NamedTuple):
    """Who imports what into which SAE: `author` writes every label where it is given, else whoever the file names, else
    `fallback`; `file` and its format go into the labels' origin."""

    sae_id: str
    fingerprint: str
    file: str
    author: str | None
    fallback: str

    def author_of(self, entry: Entry) -> str:
        return self.author or entry.author or self.fallback


def newest_of(catalog: Catalog, fingerprint: str) -> dict[int, Label]:
    """The newest version of every label of an SAE by feature, cleared ones included."""
    with catalog.read() as session:
        return {record.feature_id: label_of(record) for record in session.scalars(newest_versions(fingerprint))}


def entries_of(catalog: Catalog, fingerprint: str, with_history: bool = False) -> list[Entry]:
    """The labels of an SAE as they are written into a file, by feature; cleared ones are left out."""
    labels = {feature: label for feature, label in newest_of(catalog, fingerprint).items() if label.name}
    earlier: dict[int, list[Entry]] = {}
    if with_history:
        query = select(LabelRecord).where(LabelRecord.sae_fingerprint == fingerprint).order_by(LabelRecord.version)
        with catalog.read() as session:
            for label in map(label_of, session.scalars(query)):
                if label.feature_id in labels and label.version < labels[label.feature_id].version:
                    earlier.setdefault(label.feature_id, []).append(_entry(label))
    return [
        _entry(label)._replace(earlier=tuple(earlier.get(feature, ()))) for feature, label in sorted(labels.items())
    ]


def _entry(label: Label) -> Entry:
    return Entry(label.feature_id, texts_of(label), label.author, label.created_at, label.version)


def apply_differences(
    catalog: Catalog, importer: Importer, found: Differences, *, with_conflicts: bool = False
) -> list[Label]:
    """Save what the differences show (and, where asked, what conflicts) against the versions that they saw; all or nothing.

    A label that is new brings its older versions along. Raises StaleEdits where somebody saved one of these labels since;
    BadInput.
    """
    changes = [*found.added, *found.changed, *(found.conflicts if with_conflicts else [])]
    rounds = _rounds(importer, changes)
    for _ in range(TRIES):
        try:
            with catalog.write() as session:
                now = datetime.now(UTC)
                return [label for edits in rounds for label in save_edits(session, edits, now)]
        except IntegrityError as error:  # somebody saved at the same moment: the next look finds it stale
            conflict = error
    raise conflict


def _rounds(importer: Importer, changes: Sequence[Change]) -> list[list[Edit]]:
    """Edits in the order of their versions: each round has at most one for a feature."""
    rounds: list[list[Edit]] = []
    for change in changes:
        earlier = change.entry.earlier if change.seen is None else ()
        seen = change.seen
        for number, entry in enumerate([*earlier, change.entry]):
            values = change.new if entry is change.entry else {**EMPTY, **entry.values}
            if len(rounds) == number:
                rounds.append([])
            rounds[number].append(_edit(importer, entry, values, seen))
            seen = (seen or 0) + 1
    return rounds


def _edit(importer: Importer, entry: Entry, values: dict[str, str | float | None], replaces: int | None) -> Edit:
    author = importer.author_of(entry)
    by = f", by {entry.author}" if entry.author and entry.author != author else ""
    return Edit(
        importer.sae_id,
        importer.fingerprint,
        entry.feature_id,
        str(values["name"]),
        str(values["notes"]),
        author,
        replaces,
        category=str(values["category"]),
        confidence=None if values["confidence"] is None else float(values["confidence"]),
        evidence=read_place(str(values["evidence"])),
        origin=Origin("imported", detail=f"{importer.file}{by}"[:DETAIL_LIMIT]),
    )
