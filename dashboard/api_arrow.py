"""One feature's activations as an Arrow IPC stream whose values are never copied before they are sent."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.protocol import FeatureActivations

ARROW = "application/vnd.apache.arrow.stream"
SCHEMA = pa.schema([("sample_index", pa.uint32()), ("activation", pa.float32())])
BATCH_ROWS = 65_536
BLOCK_BYTES = 512 * 2**10  # one batch; larger blocks leave the processor's cache before they are sent


class _Pieces(io.RawIOBase):
    """A file that keeps the buffers written to it as they are: Arrow hands over its arrays' own memory."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.kept.append(piece)
        return len(piece)


def stream_pieces(part: FeatureActivations, facts: dict[str, Any]) -> list[Any]:
    """The stream as buffers in their order: Arrow's headers, and views of the activations' own memory (of the map).

    In batches of 65,536 rows; of its schema alone for a dead feature. `facts` become the schema's metadata.
    """
    schema = SCHEMA.with_metadata({key: str(value) for key, value in facts.items()})
    columns = (part.indices.astype(np.uint32, copy=False), part.activations.astype(np.float32, copy=False))
    arrays = [
        pa.Array.from_buffers(field.type, len(column), [None, pa.py_buffer(column)])
        for field, column in zip(schema, columns, strict=True)
    ]
    sink = _Pieces()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema), max_chunksize=BATCH_ROWS)
    return sink.kept


def blocks(pieces: Sequence[Any]) -> Iterator[bytes]:
    """The pieces in blocks of 512 KiB and more.

    WSGI takes `bytes` only, so a block is copied out of the map when it is its turn, once; the memory of an answer is
    one block, however long the stream.
    """
    waiting: list[Any] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
