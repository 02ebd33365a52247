"""Many labels over HTTP: those of a store's SAE searched, saved and taken back together, and how far labelling is."""

from typing import Any

from flask import Response

from catalog.comments import comment_counts
from catalog.label_text import ORIGINS
from catalog.labels import AUTHOR_LIMIT, CATEGORY_LIMIT, NAME_LIMIT, ORDERS, find_labels, put_labels
from catalog.undoing import undo_edits
from catalog.votes import scores_of
from dashboard import api_body
from dashboard.api_body import Body
from dashboard.api_json import answer, answer_list, label
from dashboard.api_label_edit import EDIT_OF_FEATURE, LABEL, edits_of
from dashboard.api_places import require_features
from dashboard.api_route import JSON, OFFSET, STORE, Route, choice, limit, words, yes_or_no
from dashboard.api_schema import NUMBER, TEXT, WHOLE, listing, or_null, record
from dashboard.context import author, catalog, workspace
from dashboard.known_labels import known_labels
from dashboard.labelling import MOST, progress

LIMIT = limit(100, 1_000)
TEXT_ASKED = words("text", "What name or notes hold, upper and lower case alike.", NAME_LIMIT)
CATEGORY = words("category", "Labels of this category.", CATEGORY_LIMIT)
AUTHOR = words("author", "Labels whose newest version this person saved.", AUTHOR_LIMIT)
ORIGIN = choice("origin", "Labels that come from there.", ORIGINS)
ORDER = choice("order", "What they are ordered by.", tuple(ORDERS), "saved")
DESCENDING = yes_or_no("descending", "The last one first.", True)
EDITS = Body(
    "A bulk edit",
    '{"labels": [{"feature_id": 3, "name": "...", "replaces": null}]}',
    (api_body.several("labels", f"a list of 1 to {MOST:,} labels", EDIT_OF_FEATURE.schema, MOST).needed(),),
)
VERSION = Body(
    "A saved label",
    '{"feature_id": 3, "version": 2}',
    (
        api_body.whole("feature_id", "the id of a feature").needed(),
        api_body.whole("version", "the version to take back", 1).needed(),
    ),
)
SAVED = Body(
    "What is taken back",
    '{"labels": [{"feature_id": 3, "version": 2}]}',
    (api_body.several("labels", f"a list of 1 to {MOST:,} saved labels", VERSION.schema, MOST).needed(),),
)


def labels(store_id: str) -> Response:
    """One part of the newest labels, searched and ordered, with votes (for minus against) and comments."""
    store, most, offset = workspace().open_store(store_id), LIMIT.asked(), OFFSET.asked()
    found = find_labels(
        catalog(),
        store.sae_fingerprint,
        text=TEXT_ASKED.asked() or "",
        category=CATEGORY.asked(),
        author=AUTHOR.asked(),
        origin=ORIGIN.asked(),
        order_by=ORDER.asked(),
        descending=DESCENDING.asked(),
        limit=most,
        offset=offset,
    )
    scores, comments = scores_of(catalog(), store.sae_fingerprint), comment_counts(catalog(), store.sae_fingerprint)
    items = [
        {**label(each), "score": scores.get(each.feature_id), "comments": comments.get(each.feature_id, 0)}
        for each in found.labels
    ]
    return answer_list(items, found.total, limit=most, offset=offset)


def save_labels(store_id: str) -> Response:
    """Save many labels, all or none; answers them, or 409 with both texts of each that somebody was quicker with."""
    store = workspace().open_store(store_id)
    sent = [EDIT_OF_FEATURE.check(each) for each in EDITS.read()["labels"]]
    require_features(store, [each["feature_id"] for each in sent])
    return answer_list([label(each) for each in put_labels(catalog(), edits_of(store, sent))])


def undo_labels(store_id: str) -> Response:
    """Save again what labels said before these versions, all or none; 409 where somebody saved one of them since."""
    store = workspace().open_store(store_id)
    sent = [VERSION.check(each) for each in SAVED.read()["labels"]]
    versions = [(each["feature_id"], each["version"]) for each in sent]
    saved = undo_edits(catalog(), store.sae_id, store.sae_fingerprint, versions, author())
    return answer_list([label(each) for each in saved])


def labelling_progress(store_id: str) -> Response:
    """How many of the features that fire have a label, and how much of all activations is theirs."""
    store = workspace().open_store(store_id)
    found: dict[str, Any] = progress(store, known_labels(store))._asdict()
    return answer({"store": store.id, **found})


_ITEM = record(**LABEL["properties"], score=or_null({"type": "integer"}), comments=WHOLE)
_SAVES = {"replies": {JSON: listing(LABEL)}, "refusals": (409, 413, 415), "role": "labeller"}
_FILTERS = (TEXT_ASKED, CATEGORY, AUTHOR, ORIGIN, ORDER, DESCENDING, LIMIT, OFFSET)
_PROGRESS = record(store=TEXT, features=WHOLE, alive=WHOLE, labelled=WHOLE, mass=NUMBER, labelled_mass=NUMBER)

ROUTES = (
    Route("GET", f"{STORE}/labels", labels, {JSON: listing(_ITEM, limit=WHOLE, offset=WHOLE)}, _FILTERS),
    Route("PUT", f"{STORE}/labels", save_labels, body=EDITS.schema, **_SAVES),
    Route("POST", f"{STORE}/labels/undo", undo_labels, body=SAVED.schema, **_SAVES),
    Route("GET", f"{STORE}/labels/progress", labelling_progress, {JSON: _PROGRESS}),
)
