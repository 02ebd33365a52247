"""Contexts and vocabulary over HTTP: what the model read, token by token."""

import pytest
from flask.testing import FlaskClient

from loaders.store import Store


def test_a_context_comes_with_tokens_text_metadata_and_samples(client: FlaskClient, base: str, store: Store) -> None:
    body = client.get(f"{base}/contexts/5").strict()
    found = store.context(5)
    assert (body["store"], body["context"], body["text"]) == (store.id, 5, found.text)
    assert (body["tokens"], body["pieces"], body["metadata"]) == (found.tokens, found.pieces, found.metadata)
    assert "".join(body["pieces"]) == found.text
    assert [store.dataset.vocab[token] for token in body["token_ids"]] == found.tokens


def test_the_samples_of_a_context_are_those_that_lie_in_it(client: FlaskClient, base: str, store: Store) -> None:
    body = client.get(f"{base}/contexts/5").strict()
    samples = range(body["samples"]["start"], body["samples"]["stop"])
    contexts, positions = store.dataset.locate(list(samples))
    assert set(contexts.tolist()) == {5}
    assert positions.tolist() == body["positions"]
    around = [samples.start - 1, samples.stop]
    assert set(store.dataset.locate(around)[0].tolist()) == {4, 6}


@pytest.mark.parametrize("context", ["-1", "x", "1.0", "99999999999999", "last"])
def test_a_context_that_does_not_exist_is_not_found(client: FlaskClient, base: str, store: Store, context: str) -> None:
    wanted = str(store.dataset.contexts) if context == "last" else context
    said = client.get(f"{base}/contexts/{wanted}").refusal(404)
    assert f"'{wanted}'" in said
    assert f"0 to {store.dataset.contexts - 1}" in said


def test_the_vocabulary_is_whole_and_in_the_order_of_its_ids(client: FlaskClient, base: str, store: Store) -> None:
    body = client.get(f"{base}/vocab").strict()
    assert (body["items"], body["total"]) == (store.dataset.vocab, len(store.dataset.vocab))
    part = client.get(f"{base}/vocab?limit=3&offset=10").strict()
    assert (part["items"], part["total"], part["offset"]) == (store.dataset.vocab[10:13], body["total"], 10)
