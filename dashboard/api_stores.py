"""What there is, over HTTP: health, SAEs and stores."""

from typing import Any

from flask import Response

from dashboard.api_json import answer, answer_list, installed_version
from dashboard.api_route import BASE, JSON, STORE, Route
from dashboard.api_schema import ANYTHING, FLAG, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import catalog, workspace
from dashboard.model_name import model_name
from loaders.errors import LoupeError
from loaders.store import Store

MANIFEST_FIELDS = {  # of a store's manifest: what programs are told
    "sae": TEXT,
    "dataset": TEXT,
    "model": or_null(TEXT),
    "hook": TEXT,
    "set": or_null(TEXT),
    "layer_index": or_null(WHOLE),
    "granularity": or_null(TEXT),
    "samples": WHOLE,
    "features": WHOLE,
    "nnz": or_null(WHOLE),
    "generation": WHOLE,
    "created_at": or_null(TEXT),
    "quality": or_null(ANYTHING),
    "fingerprints": ANYTHING,
    "tables": ANYTHING,
}


def health() -> Response:
    """Whether workspace and catalog can be read; 503 where the catalog cannot."""
    with catalog().read() as session:
        session.connection()
    return answer({"status": "ok", "version": installed_version(), "stores": len(workspace().store_ids())})


def saes() -> Response:
    """All finished SAEs with their configuration and the stores made with them."""
    made: dict[str, list[str]] = {}
    for store_id in workspace().store_ids():
        made.setdefault(store_id.split("@")[0], []).append(store_id)
    return answer_list([_describe_sae(sae_id, made.get(sae_id, [])) for sae_id in workspace().sae_ids()])


def stores() -> Response:
    """All published stores; one that is damaged carries its `error` instead of its facts."""
    return answer_list([_describe_or_say(store_id) for store_id in workspace().store_ids()])


def store(store_id: str) -> Response:
    """One store."""
    return answer(_describe_store(workspace().open_store(store_id)))


def _describe_sae(sae_id: str, store_ids: list[str]) -> dict[str, Any]:
    try:
        cfg = dict(workspace().sae(sae_id).cfg)
    except LoupeError as error:
        return {"id": sae_id, "stores": store_ids, "error": str(error)}
    metadata = dict(cfg.pop("metadata", {}))
    if "model_name" in metadata:
        metadata["model_name"] = _public_name(metadata["model_name"])
    return {"id": sae_id, "stores": store_ids, "config": cfg, "metadata": metadata}


def _describe_or_say(store_id: str) -> dict[str, Any]:
    try:
        return _describe_store(workspace().open_store(store_id))
    except LoupeError as error:
        return {"id": store_id, "error": str(error)}


def _describe_store(opened: Store) -> dict[str, Any]:
    facts = {field: opened.manifest.get(field) for field in MANIFEST_FIELDS}
    has_weights = bool(opened.manifest.get("has_weights", True))  # false only where activations were converted
    return {"id": opened.id, **facts, "model": _public_name(facts["model"]), "has_weights": has_weights}


def _public_name(model: Any) -> Any:
    return model_name(model) if isinstance(model, str) else model


_STORE = record(id=TEXT, **MANIFEST_FIELDS, has_weights=FLAG)
_SAE = record(id=TEXT, stores=several(TEXT), config=ANYTHING, metadata=ANYTHING)
_DAMAGED_SAE = record(id=TEXT, stores=several(TEXT), error=TEXT)

ROUTES = (
    Route("GET", f"{BASE}/health", health, {JSON: record(status=TEXT, version=TEXT, stores=WHOLE)}, refusals=(503,)),
    Route("GET", f"{BASE}/saes", saes, {JSON: listing({"anyOf": [_SAE, _DAMAGED_SAE]})}),
    Route("GET", f"{BASE}/stores", stores, {JSON: listing({"anyOf": [_STORE, record(id=TEXT, error=TEXT)]})}),
    Route("GET", STORE, store, {JSON: _STORE}),
)
