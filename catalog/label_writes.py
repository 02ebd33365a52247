"""Saves edits of labels inside of a transaction: each is checked, found to be new, stale or known, and none is half saved."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session

from catalog.errors import StaleEdit, StaleEdits, UnderReview
from catalog.evidence import check_evidence
from catalog.label_text import ORIGINS, Edit, Label, label_of
from catalog.records import BlindLabelRecord, ClaimRecord, LabelRecord, VerdictRecord
from catalog.texts import (
    AUTHOR_LIMIT,
    CATEGORY_LIMIT,
    NAME_LIMIT,
    NOTES_LIMIT,
    check_confidence,
    check_edit_key,
    check_feature,
    check_text,
)
from loaders.errors import BadInput

AT_ONCE = 500
"""Features or keys that one query asks for."""
DETAIL_LIMIT = 500


def save_edits(session: Session, edits: Sequence[Edit], now: datetime, *, is_verdict: bool = False) -> list[Label]:
    """Add the next version of each label, in the session's transaction; the labels in the order of the edits.

    A claim on a feature that gets its label ends. Raises StaleEdits, BadInput, UnderReview (but for a verdict, which ends
    the review), and IntegrityError where another transaction saved one of them at the same moment.
    """
    checked = [check_edit(edit) for edit in edits]
    _require_single([(edit.sae_fingerprint, edit.feature_id) for edit in checked], "One feature has two edits at once")
    _require_single([edit.edit_key for edit in checked if edit.edit_key], "Two edits have the same edit key")
    current = _current(session, checked)
    known = _known(session, checked)  # after the versions: who sees a version of the same key sees the key as well
    fresh = [edit for edit in checked if edit.edit_key not in known]
    if not is_verdict and (undecided := [f for part in _by_sae(fresh) for f in under_review(session, *part, now)]):
        raise UnderReview(min(undecided))
    stale: list[StaleEdit] = []
    saved = {edit: _next(edit, current.get((edit.sae_fingerprint, edit.feature_id)), now, stale) for edit in fresh}
    if stale:
        raise StaleEdits(stale, len(edits))
    if saved:
        session.execute(insert(LabelRecord), [_row(edit, label) for edit, label in saved.items()])
        for fingerprint, part in _by_sae(saved):
            of_features = ClaimRecord.sae_fingerprint == fingerprint, ClaimRecord.feature_id.in_(part)
            session.execute(delete(ClaimRecord).where(*of_features, ClaimRecord.is_blind.is_(False)))
    return [known[edit.edit_key] if edit.edit_key in known else saved[edit] for edit in checked]


def under_review(session: Session, sae_fingerprint: str, feature_ids: Sequence[int], now: datetime) -> set[int]:
    """Those of the features that somebody labels double-blind, or has, and that nobody has decided."""

    def among(record: Any, *conditions: Any) -> set[int]:
        of_features = record.sae_fingerprint == sae_fingerprint, record.feature_id.in_(feature_ids)
        return set(session.scalars(select(record.feature_id).where(*of_features, *conditions)))

    found = among(BlindLabelRecord) | among(ClaimRecord, ClaimRecord.is_blind.is_(True), ClaimRecord.expires_at > now)
    return found - among(VerdictRecord) if found else found


def newest_versions(sae_fingerprint: str | None, feature_ids: Sequence[int] | None = None) -> Select[LabelRecord]:
    """Query for the newest version of each label: of one SAE or (None) of all, of some features or of all."""
    newest = select(
        LabelRecord.sae_fingerprint, LabelRecord.feature_id, func.max(LabelRecord.version).label("version")
    ).group_by(LabelRecord.sae_fingerprint, LabelRecord.feature_id)
    if sae_fingerprint is not None:
        newest = newest.where(LabelRecord.sae_fingerprint == sae_fingerprint)
    if feature_ids is not None:
        newest = newest.where(LabelRecord.feature_id.in_(feature_ids))
    found = newest.subquery()
    return select(LabelRecord).join(
        found,
        (LabelRecord.sae_fingerprint == found.c.sae_fingerprint)
        & (LabelRecord.feature_id == found.c.feature_id)
        & (LabelRecord.version == found.c.version),
    )


def check_edit(edit: Edit) -> Edit:
    """The edit as it will be saved (name, author and category stripped, blank notes emptied).

    What clears a label leaves it no category, confidence or evidence either. Raises BadInput.
    """
    name, author, category = edit.name.strip(), edit.author.strip(), edit.category.strip()
    notes = edit.notes if edit.notes.strip() else ""
    check_text("The label's name", name, NAME_LIMIT)
    check_text("The notes", notes, NOTES_LIMIT, allowed="\n\t")
    check_text("The author's name", author, AUTHOR_LIMIT)
    check_text("The category", category, CATEGORY_LIMIT)
    check_confidence(edit.confidence)
    check_edit_key(edit.edit_key)
    if not name and notes:
        raise BadInput("Notes need a name: give the label a name, or empty both to clear it.")
    if not author:
        raise BadInput("A label needs an author: the author's name is empty.")
    check_feature(edit.sae_fingerprint, edit.feature_id)
    if edit.evidence is not None:
        check_evidence(edit.evidence)
    if edit.origin.kind not in ORIGINS:
        raise BadInput(f"A label is {', '.join(ORIGINS)}: found '{edit.origin.kind}'.")
    if edit.origin.kind == "inherited" and (edit.origin.sae is None or edit.origin.feature is None):
        raise BadInput("An inherited label names the SAE and the feature that it comes from.")
    check_text("The label's origin", edit.origin.detail or "", DETAIL_LIMIT)
    checked = edit._replace(name=name, notes=notes, author=author, category=category)
    return checked if name else checked._replace(category="", confidence=None, evidence=None)


def _require_single(keys: Sequence[Any], sentence: str) -> None:
    seen: set[Any] = set()
    for key in keys:
        if key in seen:
            what = f"feature {key[1]}" if isinstance(key, tuple) else f"'{key}'"
            raise BadInput(f"{sentence} ({what}): nothing was saved, send one of them.")
        seen.add(key)


def _known(session: Session, edits: Iterable[Edit]) -> dict[str | None, Label]:
    """Labels that were saved under the edits' keys before. Raises BadInput where a key belongs to another edit."""
    by_key = {edit.edit_key: edit for edit in edits if edit.edit_key}
    known: dict[str | None, Label] = {}
    for keys in in_parts(list(by_key)):
        for record in session.scalars(select(LabelRecord).where(LabelRecord.edit_key.in_(keys))):
            edit, label = by_key[str(record.edit_key)], label_of(record)
            sent = edit.sae_fingerprint, edit.feature_id, edit.name, edit.notes
            if sent != (record.sae_fingerprint, label.feature_id, label.name, label.notes):
                raise BadInput(f"The edit key '{edit.edit_key}' belongs to another edit: make a new one for each edit.")
            known[edit.edit_key] = label
    return known


def _current(session: Session, edits: Iterable[Edit]) -> dict[tuple[str, int], Label]:
    return {
        (fingerprint, record.feature_id): label_of(record)
        for fingerprint, part in _by_sae(edits)
        for record in session.scalars(newest_versions(fingerprint, part))
    }


def _by_sae(edits: Iterable[Edit]) -> Iterator[tuple[str, list[int]]]:
    """The features of the edits by SAE, in lists short enough for one query."""
    features: dict[str, list[int]] = {}
    for edit in edits:
        features.setdefault(edit.sae_fingerprint, []).append(edit.feature_id)
    return ((fingerprint, part) for fingerprint, ids in features.items() for part in in_parts(ids))


def _next(edit: Edit, current: Label | None, now: datetime, stale: list[StaleEdit]) -> Label:
    newest = current.version if current else 0
    if edit.replaces is not None and not 1 <= edit.replaces <= newest:
        raise BadInput(f"Version {edit.replaces} of this label does not exist: reload it and save again.")
    submitted = Label(
        edit.sae_id,
        edit.feature_id,
        (edit.replaces or 0) + 1,
        edit.name,
        edit.notes,
        edit.author,
        now,
        edit.replaces,
        edit.category,
        edit.confidence,
        edit.evidence,
        edit.origin,
        edit.edit_key,
    )
    if current is not None and current.version != edit.replaces:
        stale.append(StaleEdit(current, submitted))
    return submitted


def _row(edit: Edit, label: Label) -> dict[str, Any]:
    plain = label._asdict()
    evidence, origin = plain.pop("evidence"), plain.pop("origin")
    return plain | {
        "sae_fingerprint": edit.sae_fingerprint,
        "evidence_store": evidence.store if evidence else None,
        "evidence_context": evidence.context if evidence else None,
        "evidence_position": evidence.position if evidence else None,
        "origin": origin.kind,
        "origin_sae": origin.sae,
        "origin_feature": origin.feature,
        "origin_score": origin.score,
        "origin_detail": origin.detail,
    }


def in_parts(values: Sequence[Any]) -> Iterator[list[Any]]:
    """The values in lists short enough for one query."""
    rest = iter(values)
    while part := list(islice(rest, AT_ONCE)):
        yield part
