"""Double-blind reviews: two people label a feature unseen by each other; where they differ, somebody decides."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import NotThere
from catalog.label_text import Edit, Label
from catalog.label_writes import check_edit, newest_versions, save_edits, under_review
from catalog.queue import take_queue_turn
from catalog.records import BlindLabelRecord, ClaimRecord, VerdictRecord
from catalog.texts import check_person
from loaders.errors import BadInput


class BlindLabel(NamedTuple):
    """What one of the two says."""

    person: str
    name: str
    notes: str
    category: str
    confidence: float | None
    submitted_at: datetime


class Verdict(NamedTuple):
    """How a review ended: `agreed` or `adjudicated`, by whom, and the version of the label that came of it."""

    outcome: str
    person: str
    label_version: int
    decided_at: datetime


class Review(NamedTuple):
    """Where a double-blind feature is; `labels` holds only what the person who asks may see.

    `state`: `waiting` (one has spoken), `differs` (both have, and somebody must decide), `decided`.
    """

    feature_id: int
    sae_id: str
    state: str
    labels: list[BlindLabel]
    verdict: Verdict | None


def submit_blind(
    catalog: Catalog,
    sae_id: str,
    sae_fingerprint: str,
    feature_id: int,
    person: str,
    name: str,
    notes: str = "",
    *,
    category: str = "",
    confidence: float | None = None,
) -> Review:
    """Say what one thinks of a claimed double-blind feature, once; it ends the claim.

    When it is the second and both gave the same name (upper and lower case alike) and category, the first becomes the
    feature's label. Said again with the same words it changes nothing. Raises BadInput where it is not this person's turn.
    """
    now = datetime.now(UTC)
    edit = check_edit(Edit(sae_id, sae_fingerprint, feature_id, name, notes, person, None, category, confidence))
    if not edit.name:
        raise BadInput("A blind label needs a name: release the feature where you cannot say what it is.")
    new = BlindLabelRecord(
        sae_fingerprint=sae_fingerprint,
        feature_id=feature_id,
        person=edit.author,
        sae_id=sae_id,
        name=edit.name,
        notes=edit.notes,
        category=edit.category,
        confidence=confidence,
        submitted_at=now,
    )
    try:
        with catalog.write() as session:
            _submit(session, new, now)
    except IntegrityError as error:
        raise BadInput(f"Somebody else labelled feature {feature_id} in this moment: send yours again.") from error
    review = review_of(catalog, sae_fingerprint, feature_id, person)
    assert review is not None
    return review


def is_under_review(catalog: Catalog, sae_fingerprint: str, feature_id: int) -> bool:
    """Whether somebody labels the feature double-blind, or has, and nobody has decided: its label is not saved openly."""
    with catalog.read() as session:
        return bool(under_review(session, sae_fingerprint, [feature_id], datetime.now(UTC)))


def review_of(catalog: Catalog, sae_fingerprint: str, feature_id: int, person: str) -> Review | None:
    """A feature's review as that person may see it: the other's words only once both are in. None where nobody spoke."""
    with catalog.read() as session:
        found = _reviews(session, sae_fingerprint, feature_id)
    if not found:
        return None
    (review,) = found
    own = [each for each in review.labels if each.person == person.strip()]
    return review if review.state != "waiting" else review._replace(labels=own)


def reviews_of(catalog: Catalog, sae_fingerprint: str, state: str | None = None) -> list[Review]:
    """All reviews of an SAE by feature, or those in one state; a waiting one hides what was said."""
    with catalog.read() as session:
        found = _reviews(session, sae_fingerprint, None)
    hidden = [each._replace(labels=[]) if each.state == "waiting" else each for each in found]
    return [each for each in hidden if state in (None, each.state)]


def adjudicate(
    catalog: Catalog,
    sae_fingerprint: str,
    feature_id: int,
    person: str,
    name: str,
    notes: str = "",
    *,
    category: str = "",
    confidence: float | None = None,
) -> Label:
    """Decide between two who differ: what is given here becomes the feature's label, by `person`.

    Raises NotThere where nobody differs (any more), BadInput where it is one of the two or the text cannot be.
    """
    person, now = check_person("The adjudicator", person), datetime.now(UTC)
    if not name.strip():
        raise BadInput("A decision needs a name: start from one of the two, or write another.")
    try:
        with catalog.write() as session:
            take_queue_turn(session, sae_fingerprint)
            said = _said(session, sae_fingerprint, feature_id)
            if len(said) < 2 or session.get(VerdictRecord, (sae_fingerprint, feature_id)) is not None:
                raise NotThere(f"There is nothing to decide on feature {feature_id}: reload the reviews.")
            if person in {each.person for each in said}:
                raise BadInput(f"'{person}' is one of the two who differ: a third person decides.")
            edit = Edit(said[0].sae_id, sae_fingerprint, feature_id, name, notes, person, None, category, confidence)
            return _decide(session, edit, "adjudicated", person, now)
    except IntegrityError as error:
        raise NotThere(f"Somebody else labelled feature {feature_id} in this moment: reload the reviews.") from error


def _submit(session: Session, new: BlindLabelRecord, now: datetime) -> None:
    take_queue_turn(session, new.sae_fingerprint)
    said = _said(session, new.sae_fingerprint, new.feature_id)
    for own in said:
        if own.person == new.person:
            if (own.name, own.notes, own.category) == (new.name, new.notes, new.category):
                return
            raise BadInput(f"You have spoken on feature {new.feature_id}: the other one or an adjudicator is next.")
    of_feature = (ClaimRecord.sae_fingerprint == new.sae_fingerprint, ClaimRecord.feature_id == new.feature_id)
    claims = session.scalars(select(ClaimRecord).where(*of_feature)).all()
    own_claim = next((each for each in claims if each.person == new.person), None)
    others = {each.slot for each in claims if each.person != new.person and each.expires_at > now}
    free = sorted({0, 1} - others - {each.slot for each in said})
    if own_claim is not None and not own_claim.is_blind:
        raise BadInput(f"Feature {new.feature_id} is no double-blind one: save its label.")
    if own_claim is None and not said and not any(each.is_blind for each in claims):
        raise BadInput(f"Feature {new.feature_id} is not claimed: take it from the queue first.")
    if not free:
        raise BadInput(f"Two others have feature {new.feature_id} by now: take the next one.")
    new.slot = own_claim.slot if own_claim is not None and own_claim.slot in free else free[0]
    session.execute(delete(ClaimRecord).where(*of_feature, ClaimRecord.person == new.person))
    session.add(new)
    session.flush()
    if said and (said[0].name.casefold(), said[0].category) == (new.name.casefold(), new.category):
        first = said[0]
        edit = Edit(
            first.sae_id,
            first.sae_fingerprint,
            first.feature_id,
            first.name,
            first.notes,
            first.person,
            None,
            first.category,
            first.confidence,
        )
        _decide(session, edit, "agreed", new.person, now)


def _decide(session: Session, edit: Edit, outcome: str, person: str, now: datetime) -> Label:
    """Save the label over whatever is the newest version, and the verdict with it."""
    newest = session.scalar(newest_versions(edit.sae_fingerprint, [edit.feature_id]))
    (label,) = save_edits(session, [edit._replace(replaces=newest.version if newest else None)], now, is_verdict=True)
    session.add(
        VerdictRecord(
            sae_fingerprint=edit.sae_fingerprint,
            feature_id=edit.feature_id,
            outcome=outcome,
            person=person,
            label_version=label.version,
            decided_at=now,
        )
    )
    session.flush()
    return label


def _said(session: Session, sae_fingerprint: str, feature_id: int | None) -> list[BlindLabelRecord]:
    query = select(BlindLabelRecord).where(BlindLabelRecord.sae_fingerprint == sae_fingerprint)
    query = query if feature_id is None else query.where(BlindLabelRecord.feature_id == feature_id)
    query = query.order_by(BlindLabelRecord.feature_id, BlindLabelRecord.submitted_at, BlindLabelRecord.slot)
    return list(session.scalars(query))


def _reviews(session: Session, sae_fingerprint: str, feature_id: int | None) -> list[Review]:
    said: dict[int, list[BlindLabelRecord]] = {}
    for record in _said(session, sae_fingerprint, feature_id):
        said.setdefault(record.feature_id, []).append(record)
    query = select(VerdictRecord).where(VerdictRecord.sae_fingerprint == sae_fingerprint)
    verdicts = {
        record.feature_id: Verdict(*(getattr(record, field) for field in Verdict._fields))
        for record in session.scalars(query)
    }
    return [_review(feature, records, verdicts.get(feature)) for feature, records in said.items()]


def _review(feature_id: int, records: list[BlindLabelRecord], verdict: Verdict | None) -> Review:
    state = "decided" if verdict else "differs" if len(records) == 2 else "waiting"
    labels = [BlindLabel(*(getattr(record, field) for field in BlindLabel._fields)) for record in records]
    return Review(feature_id, records[0].sae_id, state, labels, verdict)
