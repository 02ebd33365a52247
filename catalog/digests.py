"""What a table holds as one number: the same on SQLite and PostgreSQL, in whatever order the rows come."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple


class Digest(NamedTuple):
    """Rows of a table, and the sum of their sha256 modulo 2^256, as hexadecimal digits."""

    rows: int
    sha256: str


def digest_of(rows: Iterable[Sequence[Any]]) -> Digest:
    """The digest of rows, each a sequence of plain values."""
    count = total = 0
    for row in rows:
        text = json.dumps([_plain(value) for value in row], sort_keys=True, ensure_ascii=False)
        total += int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest())
        count += 1
    return Digest(count, f"{total % 2**256:064x}")


def _plain(value: Any) -> Any:
    """A time in UTC (SQLite forgets the zone, which was UTC); everything else is plain already."""
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return aware.astimezone(UTC).isoformat(timespec="microseconds")
    return value
