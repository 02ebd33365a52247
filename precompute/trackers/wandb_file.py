"""Read an offline file of Weights & Biases: records of its own protocol in LevelDB's log format.

Format: github.com/google/leveldb/blob/main/doc/log_format.md, after a header of 7 bytes (`:W&B`, 0xBEE1, version 0); the
checksum is the CRC-32 of zlib over type and data.
"""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from precompute.trackers.tracker import import_extra

BLOCK = 32_768
HEADER = 7  # bytes of the file's own header, and of each fragment's
MAGIC = b":W&B"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def history_steps(path: Path) -> Iterator[int]:
    """Steps at which metrics were logged, in the file's order."""
    for record in read_records(path):
        if record.WhichOneof("record_type") == "history":
            items = {(item.key or "/".join(item.nested_key)): item.value_json for item in record.history.item}
            if "_step" in items:
                yield int(json.loads(items["_step"]))


def read_records(path: Path) -> Iterator[Any]:
    """W&B's `Record` messages, up to the first that is torn (a killed run's last one may be)."""
    messages = import_extra("wandb.proto.wandb_internal_pb2", "wandb")
    for data in _payloads(path.read_bytes()):
        record = messages.Record()
        record.ParseFromString(data)
        yield record


def _payloads(content: bytes) -> Iterator[bytes]:
    position, parts = HEADER, b""
    if content[: len(MAGIC)] != MAGIC:
        return
    while position + HEADER <= len(content):
        room = BLOCK - position % BLOCK
        if room < HEADER:  # the rest of a block that holds no header is padding
            position += room
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, position)
        data = content[position + HEADER : position + HEADER + length]
        if len(data) < length or kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) != checksum:
            return
        parts = data if kind in (FULL, FIRST) else parts + data
        if kind in (FULL, LAST):
            yield parts
        position += HEADER + length
