"""`.npy` files: memory-mapped, so only the rows that are read are in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from loaders.errors import BadInput
from precompute.sources.part import Options, Part, Read, require_matrix, require_no_name, rows_of, unreadable
from precompute.sources.pickled import describe_object, require_trust

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Header(NamedTuple):
    """What stands before an array's bytes; `is_fortran`: stored column by column."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype


def read_header(file: BinaryIO, path: Path) -> Header:
    """Read an array's header, leaving `file` at its first byte; raises BadInput."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"format version {version}")
        return Header(*HEADERS[version](file))
    except (ValueError, EOFError) as error:
        raise unreadable(path, "a .npy array", error) from error


def describe(path: Path, options: Options) -> Part:
    """Raises BadInput for a file that is no array of numbers, or one of Python objects that nobody vouches for."""
    require_no_name(path, options.array)
    with open(path, "rb") as file:
        header = read_header(file, path)
    if header.dtype.hasobject:
        require_trust(path, options)
        return describe_object(path, lambda: np.load(path, allow_pickle=True))
    samples, features = require_matrix(path, header.shape, header.dtype)
    if samples * features:
        _map(path)  # a truncated file is found before anything is written

    @contextmanager
    def opened() -> Iterator[Read]:
        yield rows_of(_map(path))

    return Part(path, samples, features, None, 1, opened, (path,))


def _map(path: Path) -> np.ndarray:
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OverflowError) as error:
        raise BadInput(f"'{path}' is shorter than its header says ({error}). Copy it again.") from error
