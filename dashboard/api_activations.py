"""Activations over HTTP: one feature's non-zero values, whole, in parts or sampled, as JSON columns or Arrow stream."""

from typing import Any, NamedTuple

import numpy as np
from flask import Response, request

from dashboard.api_arrow import ARROW, blocks, stream_pieces
from dashboard.api_json import answer, read_feature_id
from dashboard.api_route import FEATURE, JSON, OFFSET, Parameter, Route, limit, share, whole
from dashboard.api_schema import FLAG, NUMBER, TEXT, WHOLE, or_null, record, several
from dashboard.context import workspace
from loaders.protocol import FeatureActivations
from loaders.store import Store

ALL = 10**10 - 1
JSON_LIMIT = limit(1_000, 100_000)
ARROW_LIMIT = limit(ALL, ALL)
SAMPLE_FRAC = share("sample_frac", "Draw this share of the activations, without replacement, before limit and offset.")
SEED = whole("seed", "Seed of the draw: the same seed draws the same activations.", 0, 0, 2**32 - 1)


class Selection(NamedTuple):
    """The activations that were asked for, and the `facts` that say what they are a part of."""

    part: FeatureActivations
    facts: dict[str, Any]


def activations(store_id: str, feature: str) -> Response:
    """A feature's activations as JSON columns, or as the Arrow stream where the Accept header prefers it."""
    wanted = request.accept_mimetypes.best_match([JSON, ARROW], default=JSON)
    response = activations_arrow(store_id, feature) if wanted == ARROW else _columns(store_id, feature)
    response.headers["Vary"] = "Accept"
    return response


def _columns(store_id: str, feature: str) -> Response:
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    part, facts = select(store, feature_id, JSON_LIMIT)
    contexts, positions = store.dataset.locate(part.indices)
    columns = {"indices": part.indices, "activations": part.activations, "contexts": contexts, "positions": positions}
    return answer({**facts, **columns})


def activations_arrow(store_id: str, feature: str) -> Response:
    """An Arrow IPC stream of (sample_index uint32, activation float32), in sample order; all rows unless limited."""
    store, feature_id = workspace().open_store(store_id), read_feature_id(feature)
    part, facts = select(store, feature_id, ARROW_LIMIT)
    made_from = {f"{kind}_fingerprint": store.manifest["fingerprints"][kind] for kind in ("sae", "dataset")}
    stated = {key: value for key, value in facts.items() if value is not None} | made_from
    pieces = stream_pieces(part, {**stated, "sampled": str(facts["sampled"]).lower(), "rows": len(part.indices)})
    response = Response(blocks(pieces), mimetype=ARROW)
    response.content_length = sum(map(len, pieces))
    response.headers["Content-Disposition"] = f'attachment; filename="{store.id}-{feature_id}.arrows"'
    response.headers["Cache-Control"] = "no-cache"
    return response


def select(store: Store, feature_id: int, rows: Parameter) -> Selection:
    """Sample the feature's activations where the request asks for it, then cut out the part that it asks for.

    `total`: all activations of the feature; `n`: those that `limit` and `offset` count over; `sampled`: n < total.
    """
    found = store.activations(feature_id)
    most, offset, fraction, seed = rows.asked(), OFFSET.asked(), SAMPLE_FRAC.asked(), SEED.asked()
    total = n = len(found.indices)
    if fraction is None:
        kept: Any = slice(offset, offset + most)
    else:
        drawn = draw(total, fraction, [seed, feature_id])
        n, kept = len(drawn), drawn[offset : offset + most]
    facts = {
        "store": store.id,
        "feature_id": feature_id,
        "total": total,
        "n": n,
        "limit": most if most < ALL else None,
        "offset": offset,
        "sampled": n < total,
        "sample_frac": fraction,
        "seed": None if fraction is None else seed,
    }
    return Selection(FeatureActivations(found.indices[kept], found.activations[kept]), facts)


def draw(total: int, fraction: float, seed: list[int]) -> np.ndarray:
    """Ascending positions of a draw without replacement of that share of `total`: at least one, of none nothing."""
    n = min(max(round(fraction * total), 1), total)
    return np.sort(np.random.default_rng(seed).choice(total, n, replace=False, shuffle=False))


_FACTS = {
    "store": TEXT,
    "feature_id": WHOLE,
    "total": WHOLE,
    "n": WHOLE,
    "limit": WHOLE,
    "offset": WHOLE,
    "sampled": FLAG,
    "sample_frac": or_null(NUMBER),
    "seed": or_null(WHOLE),
}
_COLUMNS = record(
    **_FACTS,
    indices=several(WHOLE),
    activations=several(or_null(NUMBER)),
    contexts=several(WHOLE),
    positions=several(WHOLE),
)
_SAMPLED = (OFFSET, SAMPLE_FRAC, SEED)

ROUTES = (
    Route("GET", f"{FEATURE}/activations", activations, {JSON: _COLUMNS, ARROW: {}}, (JSON_LIMIT, *_SAMPLED)),
    Route("GET", f"{FEATURE}/activations.arrow", activations_arrow, {ARROW: {}}, (ARROW_LIMIT, *_SAMPLED)),
)
