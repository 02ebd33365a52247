"""The queue over HTTP: what waits for a label, who has claimed what, and the double-blind share."""

from typing import Any

from flask import Response
from werkzeug.exceptions import Conflict

from catalog.queue import Claim, claims_of, release_claim, renew_claim
from dashboard import api_body
from dashboard.api_body import Body
from dashboard.api_json import answer, answer_list
from dashboard.api_places import read_place, require_features
from dashboard.api_route import FEATURE, JSON, OFFSET, STORE, Route, limit, whole
from dashboard.api_schema import FLAG, NUMBER, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import author, catalog, workspace
from dashboard.known_labels import known_labels
from dashboard.label_queue import blind_share, own_claim, set_blind_share, take_after, take_next
from dashboard.labelling import activation_masses, by_value

LIMIT = limit(100, 1_000)
SKIP = whole("skip", "A feature to give back; the one that follows it is taken.", None, 0, api_body.MOST)
SHARE = Body("The double-blind share", '{"share": 0.1}', (api_body.share("share").needed(),))


def queue(store_id: str) -> Response:
    """Features that fire and have no label, the most valuable first, and whose they are."""
    store, most, offset = workspace().open_store(store_id), LIMIT.asked(), OFFSET.asked()
    waiting, masses = by_value(store, known_labels(store)), activation_masses(store)
    people: dict[int, list[str]] = {}
    for claim in claims_of(catalog(), store.sae_fingerprint):
        people.setdefault(claim.feature_id, []).append(claim.person)
    items = [
        {"feature_id": feature, "mass": masses[feature], "claimed_by": people.get(feature, [])}
        for feature in waiting[offset : offset + most]
    ]
    more = {"mass": masses.sum(), "blind_share": blind_share(store)}
    return answer_list(items, len(waiting), limit=most, offset=offset, **more)


def claims(store_id: str) -> Response:
    """Who works on which feature now, by feature."""
    store = workspace().open_store(store_id)
    return answer_list([each._asdict() for each in claims_of(catalog(), store.sae_fingerprint)])


def claim_a_feature(store_id: str) -> Response:
    """Take the most valuable feature that is free; one that is yours already is kept. Null where nothing is free."""
    store, skipped = workspace().open_store(store_id), SKIP.asked()
    if skipped is None:
        return _claim(take_next(store))
    require_features(store, [skipped])
    return _claim(take_after(store, skipped))


def keep_claim(store_id: str, feature: str) -> Response:
    """Keep a feature that is yours for longer; 409 where it is no longer yours."""
    store, feature_id = read_place(store_id, feature)
    is_kept = renew_claim(catalog(), store.sae_fingerprint, feature_id, author())
    claim = own_claim(store, feature_id, author()) if is_kept else None
    if claim is None:
        raise Conflict(
            f"Feature {feature_id} is not yours, or no longer: somebody else may have it. Take the next one."
        )
    return _claim(claim)


def give_back(store_id: str, feature: str) -> Response:
    """Let others have a feature that is yours."""
    store, feature_id = read_place(store_id, feature)
    release_claim(catalog(), store.sae_fingerprint, feature_id, author())
    return answer({"store": store.id, "feature_id": feature_id, "is_claimed": False})


def share_blind(store_id: str) -> Response:
    """Set the share of features that two people label without seeing each other's words; for admins."""
    store, sent = workspace().open_store(store_id), SHARE.read()
    set_blind_share(store, sent["share"])
    return answer({"store": store.id, "share": blind_share(store)})


def _claim(claim: Claim | None) -> Response:
    told: dict[str, Any] = {"claim": claim and claim._asdict()}
    return answer(told)


_CLAIM = record(feature_id=WHOLE, person=TEXT, is_blind=FLAG, claimed_at=TEXT, expires_at=TEXT)
_TAKEN = {JSON: record(claim=or_null(_CLAIM))}
_RELEASED = {JSON: record(store=TEXT, feature_id=WHOLE, is_claimed=FLAG)}
_WAITS = record(feature_id=WHOLE, mass=NUMBER, claimed_by=several(TEXT))
_QUEUE = {JSON: listing(_WAITS, limit=WHOLE, offset=WHOLE, mass=NUMBER, blind_share=NUMBER)}

ROUTES = (
    Route("GET", f"{STORE}/queue", queue, _QUEUE, (LIMIT, OFFSET)),
    Route("GET", f"{STORE}/queue/claims", claims, {JSON: listing(_CLAIM)}),
    Route("POST", f"{STORE}/queue/claims", claim_a_feature, _TAKEN, (SKIP,), role="labeller"),
    Route("PUT", f"{FEATURE}/claim", keep_claim, _TAKEN, refusals=(409,), role="labeller"),
    Route("DELETE", f"{FEATURE}/claim", give_back, _RELEASED, role="labeller"),
    Route(
        "PUT",
        f"{STORE}/queue/blind_share",
        share_blind,
        {JSON: record(store=TEXT, share=NUMBER)},
        body=SHARE.schema,
        refusals=(413, 415),
        role="admin",
    ),
)
