"""The HTTP interface under /api/v1: health, SAEs, stores and features; labels and activations join from beside it."""

import logging
from collections.abc import Hashable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from catalog.labels import get_label, labels_of
from dashboard import api_activations, api_labels
from dashboard.api_json import (
    answer,
    answer_error,
    answer_http_error,
    answer_list,
    answer_refusal,
    label,
    read_feature_id,
    read_page,
    records,
)
from dashboard.components.feature_header import DENSE
from dashboard.context import catalog, workspace
from loaders.errors import BadInput, LoupeError, TableMissing
from loaders.schema import STATS
from loaders.store import Store

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
EVERY_METHOD = (*METHODS, "HEAD", "OPTIONS", "TRACE")
FEATURES_LIMIT = 100
FEATURES_MOST = 1_000
TOP_TOKENS = 20
MANIFEST_FIELDS = (
    "sae",
    "dataset",
    "model",
    "hook",
    "set",
    "layer_index",
    "granularity",
    "samples",
    "features",
    "nnz",
    "generation",
    "created_at",
    "quality",
    "fingerprints",
    "tables",
)
log = logging.getLogger("loupe")


def register(server: Flask) -> None:
    """Attach the interface; `server.config["LOUPE"]` holds the workspace and the catalog."""
    blueprint = Blueprint("api", __name__, url_prefix="/api")
    blueprint.add_url_rule("/v1/health", view_func=health)
    blueprint.add_url_rule("/v1/saes", view_func=saes)
    blueprint.add_url_rule("/v1/stores", view_func=stores)
    blueprint.add_url_rule("/v1/stores/<store_id>", view_func=store)
    blueprint.add_url_rule("/v1/stores/<store_id>/features", view_func=features)
    blueprint.add_url_rule("/v1/stores/<store_id>/features/<feature>", view_func=feature)
    api_activations.register(blueprint)
    api_labels.register(blueprint)
    for rest in ("", "/", "/<path:rest>"):  # or Dash would answer these with the dashboard's page
        blueprint.add_url_rule(rest, view_func=unknown, methods=EVERY_METHOD, provide_automatic_options=False)
    blueprint.before_request(answer_options)
    blueprint.register_error_handler(HTTPException, answer_http_error)
    blueprint.register_error_handler(LoupeError, answer_refusal)
    blueprint.register_error_handler(Exception, answer_crash)
    server.register_blueprint(blueprint)


def health() -> Response:
    """Whether workspace and catalog can be read; 503 where the catalog cannot."""
    with catalog().read() as session:
        session.connection()
    return answer({"status": "ok", "version": _version(), "stores": len(workspace().store_ids())})


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


def features(store_id: str) -> Response:
    """One part of the feature table, sorted by a statistic (`-density`: descending), with label and top token."""
    opened = workspace().open_store(store_id)
    limit, offset = read_page(FEATURES_LIMIT, FEATURES_MOST)
    column, is_ascending = _read_sort()
    table = opened.stats().sort_values([column, "feature_id"], ascending=[is_ascending, True], na_position="last")
    labels = labels_of(catalog(), opened.sae_fingerprint)
    tokens = _top_tokens(opened)
    items = []
    for row in records(table.iloc[offset : offset + limit]):
        found = labels.get(row["feature_id"])
        token = tokens[row["feature_id"]] if tokens else None
        items.append({**row, "label": found.name if found else None, "top_token": token})
    return answer_list(items, len(table), limit=limit, offset=offset)


def feature(store_id: str, feature: str) -> Response:
    """Everything about one feature; a table that is still being computed is null."""
    opened, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    found = opened.feature(feature_id)
    stats = {name: found[name] for name in STATS.names if name != "feature_id"}
    saved = get_label(catalog(), opened.sae_fingerprint, feature_id)
    return answer(
        {
            "store": opened.id,
            "feature_id": feature_id,
            "samples": opened.samples,
            "stats": stats,
            "flags": {"is_dead": found["is_dead"], "is_dense": stats["density"] >= DENSE},
            "label": label(saved) if saved and not saved.is_cleared else None,
            "top_tokens": _or_none(lambda: records(opened.top_tokens(feature_id, TOP_TOKENS))),
            "influences": _or_none(lambda: _influences(opened, feature_id)),
            "neighbours": _or_none(lambda: _neighbours(opened, feature_id)),
        }
    )


def unknown(rest: str = "") -> Response:
    """Every other address under /api: 405 where another method is known there, 404 otherwise."""
    allowed = _known_methods()
    if allowed:
        raise MethodNotAllowed(allowed)
    raise NotFound(f"There is no '/api/{rest[:100]}': docs/api.md lists the addresses that exist.")


def answer_options() -> Response | None:
    """OPTIONS at a known address: its methods (Flask's own answer would count those of `unknown` too)."""
    allowed = _known_methods() if request.method == "OPTIONS" else []
    return Response(status=204, headers={"Allow": ", ".join(allowed)}) if allowed else None


def answer_crash(error: Exception) -> Response:
    """An error that nobody foresaw: its trace goes to the log, a calm sentence to the client."""
    log.error("request failed: %s %s", request.method, request.path, exc_info=error)
    return answer_error(500, "Something went wrong; the server's log has the details.")


def _known_methods() -> list[str]:
    """Methods that the requested address has, other than being unknown."""
    adapter = current_app.create_url_adapter(request)
    return [method for method in METHODS if adapter and adapter.match(method=method)[0] != "api.unknown"]


def _version() -> str:
    try:
        return version("loupe")
    except PackageNotFoundError:
        return "not installed"


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
    return {"id": opened.id, **facts, "model": _public_name(facts["model"])}


def _public_name(model: Any) -> Any:
    """The name of a model; of a local folder only its last part, where it lies is the server's own business."""
    return PurePath(model).name if isinstance(model, str) and PurePath(model).is_absolute() else model


def _read_sort() -> tuple[str, bool]:
    wanted = request.args.get("sort") or "feature_id"
    column = wanted.removeprefix("-")
    if column not in STATS.names:
        raise BadInput(
            f"'sort' must be one of {', '.join(STATS.names)}, with '-' for descending: found '{column[:40]}'."
        )
    return column, not wanted.startswith("-")


@lru_cache(maxsize=16)
def _top_tokens(opened: Store) -> list[str | None] | None:
    """The strongest token of every feature, or None while they are not computed; a new generation is a new Store."""
    tokens = _or_none(lambda: opened.top_token_names(1))
    return None if tokens is None else [names[0] if names else None for names in tokens]


def _influences(opened: Store, feature_id: int) -> dict[str, Any]:
    found = opened.influences(feature_id)
    return {"kind": found.kind, "items": records(found.rows)}


def _neighbours(opened: Store, feature_id: int) -> list[dict[Hashable, Any]]:
    return records(opened.neighbours(feature_id).rename(columns={"neighbour": "feature_id"}))


def _or_none(read: Any) -> Any:
    try:
        return read()
    except TableMissing:
        return None
