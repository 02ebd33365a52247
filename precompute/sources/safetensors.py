"""safetensors files with a dense tensor [samples, features], memory-mapped; bfloat16 is widened to float32 as it is read."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from precompute.sources.part import Options, Part, Read, choose_array, require_matrix, unreadable

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
LENGTH = 8  # bytes that say how long the header is
LONGEST_HEADER = 100 * 2**20  # as the format's own readers allow


class Tensor(NamedTuple):
    """Where a tensor lies in its file. `kind` is the format's name of its type."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    offset: int  # bytes from the file's beginning

    @property
    def dtype(self) -> np.dtype:
        """As the values are handed on."""
        return np.dtype("<f4" if self.kind == "BF16" else DTYPES[self.kind])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop; only they are in memory."""
        if not math.prod(self.shape):
            return np.empty((stop - start, *self.shape[1:]), self.dtype)
        values = np.memmap(self.path, DTYPES[self.kind], mode="r", offset=self.offset, shape=self.shape)[start:stop]
        return (values.astype(np.uint32) << 16).view(np.float32) if self.kind == "BF16" else values


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; raises BadInput where the header and the file disagree."""
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(LENGTH), "little")
            if not 2 <= length <= min(size - LENGTH, LONGEST_HEADER):
                raise ValueError(f"its header would be {length:,} bytes long")
            header = json.loads(file.read(length))
        return {
            name: _tensor(path, name, entry, LENGTH + length, size)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(path, "safetensors", error) from error


def _tensor(path: Path, name: str, entry: dict, begin: int, size: int) -> Tensor:
    kind, shape = entry["dtype"], tuple(int(extent) for extent in entry["shape"])
    first, last = (int(offset) for offset in entry["data_offsets"])
    if kind not in DTYPES:
        raise ValueError(f"tensor '{name}' is of type {kind}, which is none of {', '.join(DTYPES)}")
    is_inside = 0 <= first <= last <= size - begin and all(extent >= 0 for extent in shape)
    if not is_inside or last - first != math.prod(shape) * np.dtype(DTYPES[kind]).itemsize:
        raise ValueError(f"tensor '{name}' does not lie inside the file as its header says")
    return Tensor(path, kind, shape, begin + first)


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a damaged file, or one without the tensor that is asked for."""
    tensors = read_tensors(path)
    tensor = tensors[choose_array(path, sorted(n for n in tensors if len(tensors[n].shape) == 2), options.array)]
    samples, features = require_matrix(path, tensor.shape, tensor.dtype)

    @contextmanager
    def opened() -> Iterator[Read]:
        yield tensor.read

    return Part(path, samples, features, None, 1, opened, (path,))
