"""Activations over HTTP: every one or a stated part of them, as JSON columns or as an Arrow stream."""

import numpy as np
import pyarrow as pa
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from dashboard.api_activations import draw
from dashboard.api_arrow import ARROW, BATCH_ROWS, BLOCK_BYTES, blocks, stream_pieces
from loaders.protocol import FeatureActivations
from loaders.store import Store


def read_stream(response: Response) -> pa.Table:
    assert response.mimetype == ARROW
    return pa.ipc.open_stream(response.data).read_all()


def test_activations_are_all_of_them_with_their_places(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = client.get(f"{at}/activations?limit=100000").strict()
    found = store.activations(living)
    contexts, positions = store.dataset.locate(found.indices)
    assert body["indices"] == found.indices.tolist()
    assert body["activations"] == found.activations.tolist()
    assert (body["contexts"], body["positions"]) == (contexts.tolist(), positions.tolist())
    assert (body["total"], body["limit"], body["offset"], body["sampled"]) == (len(found.indices), 100_000, 0, False)


def test_a_part_of_the_activations_states_what_it_is(client: FlaskClient, at: str, store: Store, living: int) -> None:
    body = client.get(f"{at}/activations?limit=2&offset=1").strict()
    found = store.activations(living)
    assert body["indices"] == found.indices[1:3].tolist()
    assert (body["total"], body["limit"], body["offset"]) == (len(found.indices), 2, 1)


def test_the_arrow_stream_holds_every_activation(client: FlaskClient, at: str, store: Store, living: int) -> None:
    table = read_stream(client.get(f"{at}/activations.arrow"))
    found = store.activations(living)
    assert [(field.name, field.type) for field in table.schema] == [
        ("sample_index", pa.uint32()),
        ("activation", pa.float32()),
    ]
    np.testing.assert_array_equal(table["sample_index"].to_numpy(), found.indices)
    np.testing.assert_array_equal(table["activation"].to_numpy(), found.activations)
    assert table.schema.metadata[b"feature_id"] == str(living).encode()
    assert table.schema.metadata[b"total"] == str(len(found.indices)).encode()


def test_an_accept_header_chooses_the_arrow_stream(client: FlaskClient, at: str) -> None:
    streamed = client.get(f"{at}/activations", headers={"Accept": ARROW})
    assert read_stream(streamed) == read_stream(client.get(f"{at}/activations.arrow"))
    assert streamed.headers["Vary"] == "Accept"
    for accepted in ("*/*", "application/json", "text/html"):
        assert client.get(f"{at}/activations", headers={"Accept": accepted}).mimetype == "application/json"


def test_a_part_of_the_arrow_stream_can_be_asked_for(client: FlaskClient, at: str, store: Store, living: int) -> None:
    table = read_stream(client.get(f"{at}/activations.arrow?limit=2&offset=1"))
    assert table["sample_index"].to_pylist() == store.activations(living).indices[1:3].tolist()


def stated(table: pa.Table) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in table.schema.metadata.items()}


def test_a_part_of_the_arrow_stream_states_what_it_is(client: FlaskClient, at: str, store: Store, living: int) -> None:
    found = store.activations(living)
    said = stated(read_stream(client.get(f"{at}/activations.arrow?limit=2&offset=1")))
    assert (said["rows"], said["limit"], said["offset"], said["sampled"]) == ("2", "2", "1", "false")
    assert said["total"] == said["n"] == str(len(found.indices))
    assert said["sae_fingerprint"] == store.sae_fingerprint
    assert said["dataset_fingerprint"] == store.dataset.fingerprint


def test_a_sample_is_stated_and_is_the_same_for_the_same_seed(
    client: FlaskClient, at: str, store: Store, living: int
) -> None:
    found = store.activations(living)
    known = dict(zip(found.indices.tolist(), found.activations.tolist(), strict=True))
    total = len(known)
    query = "sample_frac=0.25&seed=7&limit=100000"
    body = client.get(f"{at}/activations?{query}").strict()
    assert (body["sampled"], body["n"], body["total"]) == (True, round(total / 4), total)
    assert (body["sample_frac"], body["seed"]) == (0.25, 7)
    assert len(body["indices"]) == body["n"]
    assert all(a < b for a, b in zip(body["indices"], body["indices"][1:], strict=False))
    assert {i: known[i] for i in body["indices"]} == dict(zip(body["indices"], body["activations"], strict=True))
    assert client.get(f"{at}/activations?{query}").strict() == body
    assert client.get(f"{at}/activations?sample_frac=0.25&seed=8&limit=100000").strict()["indices"] != body["indices"]


def test_arrow_and_json_draw_the_same_sample(client: FlaskClient, at: str) -> None:
    query = "sample_frac=0.1&seed=3&limit=5&offset=2"
    table, body = read_stream(client.get(f"{at}/activations.arrow?{query}")), client.get(f"{at}/activations?{query}")
    assert table["sample_index"].to_pylist() == body.strict()["indices"]
    said = stated(table)
    assert (said["sampled"], said["sample_frac"], said["seed"]) == ("true", "0.1", "3")
    assert (said["n"], said["rows"]) == (str(body.strict()["n"]), "5")


def test_parts_of_a_sample_join_to_the_whole_sample(client: FlaskClient, at: str) -> None:
    whole = client.get(f"{at}/activations?sample_frac=0.5&limit=100000").strict()
    half = whole["n"] // 2
    parts = [
        client.get(f"{at}/activations?sample_frac=0.5&limit={half + 1}&offset={o}").strict() for o in (0, half + 1)
    ]
    assert parts[0]["indices"] + parts[1]["indices"] == whole["indices"]


def test_a_sample_of_everything_is_no_sample(client: FlaskClient, at: str) -> None:
    body = client.get(f"{at}/activations?sample_frac=1&limit=100000").strict()
    assert (body["sampled"], body["n"]) == (False, body["total"])
    assert body["indices"] == client.get(f"{at}/activations?limit=100000").strict()["indices"]


@pytest.mark.parametrize(("total", "fraction", "n"), [(0, 0.5, 0), (1, 0.001, 1), (10, 0.25, 2), (9, 1.0, 9)])
def test_a_draw_has_its_share_and_nothing_twice(total: int, fraction: float, n: int) -> None:
    drawn = draw(total, fraction, [0, 1])
    assert len(drawn) == len(set(drawn.tolist())) == n
    assert all(0 <= position < total for position in drawn)


@pytest.mark.parametrize("end", ["activations", "activations.arrow"])
@pytest.mark.parametrize(
    ("query", "words"),
    [
        *[(f"sample_frac={text}", "'sample_frac' must be") for text in ("0", "-0.5", "1.01", "half", "nan", "inf")],
        ("seed=-1", "'seed' must be a whole number"),
        ("seed=4294967296", "'seed' may be 0 to 4,294,967,295"),
        ("limit=0", "'limit' may be 1 to"),
        ("offset=x", "'offset' must be a whole number"),
        ("sample_fraction=0.1", "no parameter 'sample_fraction'"),
    ],
)
def test_a_part_that_cannot_be_is_refused(client: FlaskClient, at: str, end: str, query: str, words: str) -> None:
    assert words in client.get(f"{at}/{end}?{query}").refusal(400)


def test_an_arrow_stream_is_never_compressed_and_states_its_length(server: Flask, at: str) -> None:
    everything = {"Accept-Encoding": "br, gzip, zstd, deflate, *"}
    streamed = server.test_client().get(f"{at}/activations.arrow", headers=everything)
    assert "Content-Encoding" not in streamed.headers
    assert streamed.headers["Content-Length"] == str(len(streamed.data))
    assert server.test_client().get(f"{at}/activations", headers=everything).headers["Content-Encoding"] == "br"


def test_the_stream_is_made_of_the_maps_own_memory(store: Store, living: int) -> None:
    found = store.activations(living)
    at = {pa.py_buffer(found.indices).address, pa.py_buffer(found.activations).address}
    pieces = stream_pieces(found, {})
    assert at <= {piece.address for piece in pieces if isinstance(piece, pa.Buffer)}


@pytest.mark.parametrize("rows", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, 3 * BATCH_ROWS + 1])
def test_a_stream_of_any_length_is_read_back_block_by_block(rows: int) -> None:
    part = FeatureActivations(np.arange(rows, dtype=np.uint32), np.arange(rows, dtype=np.float32))
    sent = list(blocks(stream_pieces(part, {"total": rows})))
    assert max(map(len, sent)) < 2 * BLOCK_BYTES
    table = pa.ipc.open_stream(b"".join(sent)).read_all()
    np.testing.assert_array_equal(table["sample_index"].to_numpy(), part.indices)
    np.testing.assert_array_equal(table["activation"].to_numpy(), part.activations)
