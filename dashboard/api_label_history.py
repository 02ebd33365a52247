"""A label's history over HTTP: every version that was saved, and an earlier one said again."""

from flask import Response

from catalog.labels import history, restore_label
from dashboard import api_body
from dashboard.api_body import EDIT_KEY, Body
from dashboard.api_json import answer, answer_list, label
from dashboard.api_label_edit import LABEL, REPLACES
from dashboard.api_labels import LABEL_OF_STORE, told
from dashboard.api_places import read_place
from dashboard.api_route import FEATURE, JSON, Route
from dashboard.api_schema import listing
from dashboard.context import author, catalog

RESTORE = Body(
    "What is restored",
    '{"version": 1, "replaces": 3}',
    (api_body.whole("version", "a version of the history", 1).needed(), REPLACES, EDIT_KEY),
)


def label_history(store_id: str, feature: str) -> Response:
    """All versions of the label, the newest first."""
    store, feature_id = read_place(store_id, feature)
    return answer_list([label(each) for each in history(catalog(), store.sae_fingerprint, feature_id)])


def restore(store_id: str, feature: str) -> Response:
    """Save what an earlier version says as the next one; answers it, or 409 with both texts."""
    store, feature_id = read_place(store_id, feature)
    sent = RESTORE.read()
    saved = restore_label(
        catalog(),
        store.sae_fingerprint,
        feature_id,
        sent["version"],
        author(),
        sent.get("replaces"),
        edit_key=sent.get("edit_key"),
    )
    return answer(told(store, feature_id, saved))


ROUTES = (
    Route("GET", f"{FEATURE}/label/history", label_history, {JSON: listing(LABEL)}),
    Route(
        "POST",
        f"{FEATURE}/label/restore",
        restore,
        {JSON: LABEL_OF_STORE},
        body=RESTORE.schema,
        refusals=(409, 413, 415),
        role="labeller",
    ),
)
