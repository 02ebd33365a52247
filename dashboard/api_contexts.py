"""Contexts over HTTP: what the model read, and the vocabulary that its tokens are from."""

import numpy as np
from flask import Response
from werkzeug.exceptions import NotFound

from dashboard.api_json import answer, answer_list, is_whole
from dashboard.api_route import JSON, OFFSET, STORE, Route, limit
from dashboard.api_schema import ANYTHING, TEXT, WHOLE, listing, or_null, record, several
from dashboard.context import workspace
from loaders.store import Store

VOCABULARY_MOST = 1_000_000
LIMIT = limit(VOCABULARY_MOST, VOCABULARY_MOST)


def context(store_id: str, context: str) -> Response:
    """One context: its tokens with the exact text of each, its metadata and which samples it holds."""
    store = workspace().open_store(store_id)
    index = _read_context(context, store)
    found, dataset = store.context(index), store.dataset
    start, stop = dataset.offsets[index : index + 2].tolist()
    first, last = dataset.sample_offsets[index : index + 2].tolist()
    return answer(
        {
            "store": store.id,
            "context": index,
            "text": found.text,
            "tokens": found.tokens,
            "token_ids": np.asarray(dataset.tokens[start:stop]),
            "pieces": found.pieces,
            "samples": {"start": first, "stop": last},
            "positions": np.asarray(dataset.samples[first:last]) - start,
            "metadata": found.metadata,
        }
    )


def vocabulary(store_id: str) -> Response:
    """The tokens of the dataset's vocabulary, as they are shown, in the order of their ids."""
    vocab = workspace().open_store(store_id).dataset.vocab
    most, offset = LIMIT.asked(), OFFSET.asked()
    return answer_list(vocab[offset : offset + most], len(vocab), limit=most, offset=offset)


def _read_context(text: str, store: Store) -> int:
    if not is_whole(text) or int(text) >= store.dataset.contexts:
        raise NotFound(
            f"There is no context '{text[:40]}': store '{store.id}' has contexts 0 to {store.dataset.contexts - 1}."
        )
    return int(text)


_CONTEXT = record(
    store=TEXT,
    context=WHOLE,
    text=TEXT,
    tokens=several(TEXT),
    token_ids=several(WHOLE),
    pieces=several(TEXT),
    samples=record(start=WHOLE, stop=WHOLE),
    positions=several(WHOLE),
    metadata=ANYTHING,
)

ROUTES = (
    Route("GET", STORE + "/contexts/{context}", context, {JSON: _CONTEXT}),
    Route(
        "GET", f"{STORE}/vocab", vocabulary, {JSON: listing(or_null(TEXT), limit=WHOLE, offset=WHOLE)}, (LIMIT, OFFSET)
    ),
)
