"""Double-blind reviews over HTTP: two people say what they think unseen by each other, a third decides where they differ."""

from typing import Any

from flask import Response

from catalog.reviews import Review, adjudicate, review_of, reviews_of, submit_blind
from dashboard.api_body import Body
from dashboard.api_json import answer, answer_list
from dashboard.api_label_edit import CATEGORY, CONFIDENCE, NAME, NOTES
from dashboard.api_labels import LABEL_OF_STORE, told
from dashboard.api_places import read_place
from dashboard.api_route import FEATURE, JSON, STORE, Route, choice
from dashboard.api_schema import NUMBER, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import author, catalog, workspace

STATES = ("waiting", "differs", "decided")
STATE = choice("state", "Reviews in this state.", STATES)
WORDS = Body(
    "What is said",
    '{"name": "...", "notes": "...", "category": "...", "confidence": 0.8}',
    (NAME.needed(), NOTES, CATEGORY, CONFIDENCE),
)


def reviews(store_id: str) -> Response:
    """All reviews by feature; what was said in a waiting one nobody sees."""
    store = workspace().open_store(store_id)
    found = reviews_of(catalog(), store.sae_fingerprint, STATE.asked())
    return answer_list([_review(each) for each in found])


def read_review(store_id: str, feature: str) -> Response:
    """One feature's review as you may see it: your own words, both once both are in; `state` is null before."""
    store, feature_id = read_place(store_id, feature)
    found = review_of(catalog(), store.sae_fingerprint, feature_id, author())
    return answer(_review(found or Review(feature_id, store.sae_id, "", [], None)))


def say_blind(store_id: str, feature: str) -> Response:
    """Say what you think of a double-blind feature that is yours, once; sent again it changes nothing."""
    (store, feature_id), sent = read_place(store_id, feature), WORDS.read()
    place = store.sae_id, store.sae_fingerprint, feature_id
    return answer(_review(submit_blind(catalog(), *place, author(), **_words(sent))))


def decide(store_id: str, feature: str) -> Response:
    """Decide between two who differ: what you say becomes the feature's label; 404 where nothing is to decide."""
    (store, feature_id), sent = read_place(store_id, feature), WORDS.read()
    label = adjudicate(catalog(), store.sae_fingerprint, feature_id, author(), **_words(sent))
    return answer(told(store, feature_id, label))


def _words(sent: dict[str, Any]) -> dict[str, Any]:
    texts = {field: sent.get(field) or "" for field in ("name", "notes", "category")}
    return {**texts, "confidence": sent.get("confidence")}


def _review(review: Review) -> dict[str, Any]:
    return {
        "feature_id": review.feature_id,
        "sae_id": review.sae_id,
        "state": review.state or None,
        "labels": [each._asdict() for each in review.labels],
        "verdict": review.verdict and review.verdict._asdict(),
    }


_SAID = record(person=TEXT, name=TEXT, notes=TEXT, category=TEXT, confidence=or_null(NUMBER), submitted_at=TEXT)
_VERDICT = record(outcome={"enum": ["agreed", "adjudicated"]}, person=TEXT, label_version=WHOLE, decided_at=TEXT)
_REVIEW = record(
    feature_id=WHOLE,
    sae_id=TEXT,
    state=or_null({"enum": list(STATES)}),
    labels=several(_SAID),
    verdict=or_null(_VERDICT),
)
_SAYS = {"body": WORDS.schema, "refusals": (413, 415), "role": "labeller"}

ROUTES = (
    Route("GET", f"{STORE}/reviews", reviews, {JSON: listing(_REVIEW)}, (STATE,)),
    Route("GET", f"{FEATURE}/review", read_review, {JSON: _REVIEW}),
    Route("POST", f"{FEATURE}/review", say_blind, {JSON: _REVIEW}, **_SAYS),
    Route("POST", f"{FEATURE}/review/verdict", decide, {JSON: LABEL_OF_STORE}, **_SAYS),
)
