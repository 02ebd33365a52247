"""What people think of a label, over HTTP: votes on its versions, and comments."""

from flask import Response

from catalog.comments import comments_on, put_comment
from catalog.texts import COMMENT_LIMIT
from catalog.votes import put_vote, votes_on
from dashboard import api_body
from dashboard.api_body import EDIT_KEY, Body
from dashboard.api_json import answer, answer_list
from dashboard.api_places import Place, read_place
from dashboard.api_route import FEATURE, JSON, Route
from dashboard.api_schema import TEXT, WHOLE, listing, record
from dashboard.context import author, catalog

VERSION = api_body.whole("version", "the version of the label that you saw", 1).needed()
VOTE = Body(
    "A vote",
    '{"version": 1, "value": 1}',
    (VERSION, api_body.whole("value", "1 (for), -1 (against) or 0 (to take it back)", -1, 1).needed()),
)
COMMENT = Body(
    "A comment",
    '{"version": 1, "text": "..."}',
    (VERSION, api_body.text("text", COMMENT_LIMIT).needed(), EDIT_KEY),
)


def votes(store_id: str, feature: str) -> Response:
    """All votes on all versions of the label: 1 for, -1 against; those on the newest version first."""
    return _votes(read_place(store_id, feature))


def vote(store_id: str, feature: str) -> Response:
    """Vote for or against a version of the label, vote otherwise, or take the vote back; answers all votes."""
    place, sent = read_place(store_id, feature), VOTE.read()
    put_vote(catalog(), place.store.sae_fingerprint, place.feature_id, sent["version"], author(), sent["value"])
    return _votes(place)


def comments(store_id: str, feature: str) -> Response:
    """All comments on the label, the oldest first."""
    store, feature_id = read_place(store_id, feature)
    return answer_list([each._asdict() for each in comments_on(catalog(), store.sae_fingerprint, feature_id)])


def comment(store_id: str, feature: str) -> Response:
    """Add a comment to a version of the label."""
    (store, feature_id), sent = read_place(store_id, feature), COMMENT.read()
    said = put_comment(
        catalog(),
        store.sae_fingerprint,
        feature_id,
        sent["version"],
        sent["text"],
        author(),
        edit_key=sent.get("edit_key"),
    )
    return answer(said._asdict())


def _votes(place: Place) -> Response:
    found = votes_on(catalog(), place.store.sae_fingerprint, place.feature_id)
    return answer_list([each._asdict() for each in found])


_VOTES = listing(record(version=WHOLE, person=TEXT, value={"enum": [-1, 1]}, voted_at=TEXT))
_COMMENT = record(comment_id=WHOLE, feature_id=WHOLE, version=WHOLE, text=TEXT, author=TEXT, created_at=TEXT)

ROUTES = (
    Route("GET", f"{FEATURE}/votes", votes, {JSON: _VOTES}),
    Route("PUT", f"{FEATURE}/votes", vote, {JSON: _VOTES}, body=VOTE.schema, refusals=(413, 415), role="labeller"),
    Route("GET", f"{FEATURE}/comments", comments, {JSON: listing(_COMMENT)}),
    Route(
        "POST",
        f"{FEATURE}/comments",
        comment,
        {JSON: _COMMENT},
        body=COMMENT.schema,
        refusals=(413, 415),
        role="labeller",
    ),
)
