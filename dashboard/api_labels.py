"""Labels over HTTP: read the newest version, save the next one without ever losing somebody else's edit."""

from typing import Any
from urllib.parse import urlsplit

from flask import Response, abort, request

from catalog.labels import NAME_LIMIT, NOTES_LIMIT, Label, get_label, put_label
from catalog.texts import KEY_LIMIT
from dashboard.api_json import MAX_BODY_BYTES, answer, label, read_feature_id
from dashboard.api_route import FEATURE, JSON, Route
from dashboard.api_schema import TEXT, WHOLE, or_null, record
from dashboard.context import author, catalog, workspace
from loaders.errors import BadInput, FeatureNotFound
from loaders.store import Store

FIELDS = ("name", "notes", "replaces", "edit_key")
_TEXTS = {"name": TEXT, "notes": TEXT, "author": or_null(TEXT), "created_at": or_null(TEXT), "replaces": or_null(WHOLE)}
LABEL = record(sae_id=TEXT, feature_id=WHOLE, version=or_null(WHOLE), **_TEXTS)


def read_label(store_id: str, feature: str) -> Response:
    """The newest version; without any the texts are empty and `version` is null."""
    store, feature_id = _locate(store_id, feature)
    return answer(_body(store, feature_id, get_label(catalog(), store.sae_fingerprint, feature_id)))


def save_label(store_id: str, feature: str) -> Response:
    """Save `{"name", "notes", "replaces", "edit_key"}` as the next version; answers it, or 409 with both texts."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403, "Labels are saved from the dashboard's own pages or by programs: this request is another site's.")
    store, feature_id = _locate(store_id, feature)
    sent = _read_body()
    saved = put_label(
        catalog(),
        store.sae_id,
        store.sae_fingerprint,
        feature_id,
        sent["name"],
        sent.get("notes", ""),
        author(),
        sent.get("replaces"),
        edit_key=sent.get("edit_key"),
    )
    return answer(_body(store, feature_id, saved))


def _locate(store_id: str, feature: str) -> tuple[Store, int]:
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    if feature_id >= store.features:
        raise FeatureNotFound(feature_id, store.features, f"store '{store.id}'")
    return store, feature_id


def _read_body() -> dict[str, Any]:
    request.max_content_length = MAX_BODY_BYTES
    try:
        sent = request.get_json()
    except RecursionError as error:
        raise BadInput("The request's body nests too deeply: a label is one flat JSON object.") from error
    if not isinstance(sent, dict) or not isinstance(sent.get("name"), str):
        raise BadInput('A label is a JSON object with a "name": {"name": "...", "notes": "...", "replaces": null}.')
    unknown = sorted(set(sent) - set(FIELDS))
    if unknown:
        raise BadInput(f"A label has the fields {', '.join(FIELDS)}: found '{unknown[0][:40]}'.")
    if not isinstance(sent.get("notes", ""), str):
        raise BadInput("A label's 'notes' must be a text.")
    replaces = sent.get("replaces")
    if replaces is not None and (isinstance(replaces, bool) or not isinstance(replaces, int)):
        raise BadInput("A label's 'replaces' must be the version that you saw, or null where there was none.")
    if not isinstance(sent.get("edit_key"), str | None):
        raise BadInput("A label's 'edit_key' must be a text that no other edit has, or null.")
    return sent


def _body(store: Store, feature_id: int, saved: Label | None) -> dict[str, Any]:
    if saved is not None:
        return {"store": store.id, **label(saved)}
    nothing = {"name": "", "notes": "", **dict.fromkeys(("version", "author", "created_at", "replaces"))}
    return {"store": store.id, "sae_id": store.sae_id, "feature_id": feature_id, **nothing}


_REPLY = record(store=TEXT, **LABEL["properties"])
_EDIT = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": NAME_LIMIT},
        "notes": {"type": "string", "maxLength": NOTES_LIMIT, "default": ""},
        "replaces": {**or_null(WHOLE), "description": "The version that you saw; null where there was none."},
        "edit_key": {
            **or_null({"type": "string", "maxLength": KEY_LIMIT}),
            "description": "A text of the client's own for this edit: sent again with it, the edit is saved no second time.",
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}

ROUTES = (
    Route("GET", f"{FEATURE}/label", read_label, {JSON: _REPLY}),
    Route(
        "PUT",
        f"{FEATURE}/label",
        save_label,
        {JSON: _REPLY},
        body=_EDIT,
        refusals=(409, 413, 415),
        role="labeller",
    ),
)
