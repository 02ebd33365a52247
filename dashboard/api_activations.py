"""Activations over HTTP: one feature's non-zero values as JSON columns or as an Arrow IPC stream."""

import numpy as np
import pyarrow as pa
from flask import Blueprint, Response, request

from dashboard.api_json import answer, read_feature_id, read_page
from dashboard.context import workspace
from loaders.protocol import FeatureActivations

ARROW = "application/vnd.apache.arrow.stream"
JSON_LIMIT = 1_000
JSON_MOST = 100_000
ALL = 10**10 - 1
BATCH_ROWS = 65_536
SCHEMA = pa.schema([("sample_index", pa.uint32()), ("activation", pa.float32())])


def register(blueprint: Blueprint) -> None:
    """Add the routes of activations."""
    path = "/v1/stores/<store_id>/features/<feature>/activations"
    blueprint.add_url_rule(path, view_func=activations)
    blueprint.add_url_rule(f"{path}.arrow", view_func=activations_arrow)


def activations(store_id: str, feature: str) -> Response:
    """JSON columns, or the Arrow stream where the Accept header prefers it."""
    wanted = request.accept_mimetypes.best_match(["application/json", ARROW], default="application/json")
    response = activations_arrow(store_id, feature) if wanted == ARROW else _columns(store_id, feature)
    response.headers["Vary"] = "Accept"
    return response


def _columns(store_id: str, feature: str) -> Response:
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    found = store.activations(feature_id)
    limit, offset = read_page(JSON_LIMIT, JSON_MOST)
    part = _part(found, limit, offset)
    contexts, positions = store.dataset.locate(part.indices)
    return answer(
        {
            "store": store.id,
            "feature_id": feature_id,
            "total": len(found.indices),
            "limit": limit,
            "offset": offset,
            "sampled": False,
            "indices": part.indices,
            "activations": part.activations,
            "contexts": contexts,
            "positions": positions,
        }
    )


def activations_arrow(store_id: str, feature: str) -> Response:
    """An Arrow IPC stream of (sample_index uint32, activation float32), in sample order; all rows unless limited."""
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    found = store.activations(feature_id)
    limit, offset = read_page(ALL, ALL)
    facts = {"store": store.id, "feature_id": feature_id, "total": len(found.indices), "offset": offset}
    schema = SCHEMA.with_metadata({key: str(value) for key, value in facts.items()})
    response = Response(_stream(_part(found, limit, offset), schema), mimetype=ARROW)
    response.headers["Content-Disposition"] = f'attachment; filename="{store.id}-{feature_id}.arrows"'
    response.headers["Cache-Control"] = "no-cache"
    return response


def _part(found: FeatureActivations, limit: int, offset: int) -> FeatureActivations:
    return FeatureActivations(found.indices[offset : offset + limit], found.activations[offset : offset + limit])


def _stream(part: FeatureActivations, schema: pa.Schema) -> bytes:
    """The bytes of an IPC stream, in batches of 65,536 rows; of its schema alone for a dead feature."""
    indices, values = part.indices.astype(np.uint32, copy=False), part.activations.astype(np.float32, copy=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table([pa.array(indices), pa.array(values)], schema=schema), max_chunksize=BATCH_ROWS)
    return bytes(sink.getvalue())
