"""Bytes of a file as text: gzip undone, UTF-8 checked, sizes bounded, and the line of any place in it."""

import re
import zlib
from bisect import bisect_right

from catalog.dictionary.problems import Unreadable

MOST_BYTES = 64 << 20
GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_BREAK = re.compile(r"\r\n|\r|\n")


def decode(data: bytes) -> str:
    """The text of a file, a gzipped one included. Raises Unreadable with the line where it stops being text."""
    if data.startswith(GZIP):
        data = _unpack(data)
    if len(data) > MOST_BYTES:
        raise Unreadable(0, f"is larger than {MOST_BYTES >> 20} MiB: split it")
    if encoding := _OTHER_MARKS.get(data[:2]):
        raise Unreadable(1, f"is {encoding}; save it as UTF-8")
    data = data.removeprefix(BOM)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_BREAK.findall(data[: error.start].decode("utf-8"))) + 1
        raise Unreadable(
            line, f"holds the byte 0x{data[error.start]:02X}, which is not UTF-8; save it as UTF-8"
        ) from error


def _unpack(data: bytes) -> bytes:
    """Undo gzip, member by member, and stop at the bound however small the file is."""
    parts, size, left = [], 0, data
    while left:
        if not left.startswith(GZIP):
            if left.strip(b"\0"):
                raise Unreadable(0, "has something else behind its gzipped part; pack it again")
            break
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(left, MOST_BYTES + 1 - size)
        except zlib.error as error:
            raise Unreadable(0, f"is not valid gzip ({error}); pack it again") from error
        size += len(part)
        if size > MOST_BYTES:
            raise Unreadable(0, f"is larger than {MOST_BYTES >> 20} MiB when unpacked: split it")
        if not member.eof:
            raise Unreadable(0, "is cut off: its gzip stream does not end; copy it again")
        parts.append(part)
        left = member.unused_data
    return b"".join(parts)


class Lines:
    """Line numbers, from 1, of places in a text; \\n, \\r\\n and \\r end a line."""

    def __init__(self, text: str) -> None:
        self._starts = [match.end() for match in _BREAK.finditer(text)]

    def at(self, position: int) -> int:
        return bisect_right(self._starts, position) + 1
