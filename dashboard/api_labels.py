"""One feature's label over HTTP: read the newest version, save the next one without ever losing somebody else's edit."""

from typing import Any

from flask import Response

from catalog.labels import Label, get_label, put_edit
from dashboard.api_json import answer, label
from dashboard.api_label_edit import EDIT, LABEL, edits_of
from dashboard.api_places import read_place
from dashboard.api_route import FEATURE, JSON, Route
from dashboard.api_schema import TEXT, record
from dashboard.context import catalog
from loaders.store import Store

LABEL_OF_STORE = record(store=TEXT, **LABEL["properties"])


def read_label(store_id: str, feature: str) -> Response:
    """The newest version; without any the texts are empty and `version` is null."""
    store, feature_id = read_place(store_id, feature)
    return answer(told(store, feature_id, get_label(catalog(), store.sae_fingerprint, feature_id)))


def save_label(store_id: str, feature: str) -> Response:
    """Save the next version, which ends claims on the feature; answers it, or 409 with both texts."""
    store, feature_id = read_place(store_id, feature)
    (edit,) = edits_of(store, [{**EDIT.read(), "feature_id": feature_id}])
    saved = put_edit(catalog(), edit)
    return answer(told(store, feature_id, saved))


def told(store: Store, feature_id: int, saved: Label | None) -> dict[str, Any]:
    """A label, or that there is none, with the store that was asked about."""
    if saved is not None:
        return {"store": store.id, **label(saved)}
    nothing: dict[str, Any] = dict.fromkeys(LABEL["properties"])
    texts = dict.fromkeys(("name", "notes", "category"), "")
    return {"store": store.id, **nothing, **texts, "sae_id": store.sae_id, "feature_id": feature_id}


ROUTES = (
    Route("GET", f"{FEATURE}/label", read_label, {JSON: LABEL_OF_STORE}),
    Route(
        "PUT",
        f"{FEATURE}/label",
        save_label,
        {JSON: LABEL_OF_STORE},
        body=EDIT.schema,
        refusals=(409, 413, 415),
        role="labeller",
    ),
)
