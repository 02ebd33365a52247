"""All files of a conversion as one matrix of samples: found, put in order, checked against each other, read by ranges."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loaders.errors import BadInput
from precompute.sources import hdf5, npy, npz, pickled, safetensors, zarr_store
from precompute.sources.part import Options, Part, Read, Rows, natural_order

KINDS: dict[str, Callable[[Path, Options], Part]] = {
    ".npy": npy.describe,
    ".npz": npz.describe,
    ".h5": hdf5.describe,
    ".hdf5": hdf5.describe,
    ".h5ad": hdf5.describe,
    ".zarr": zarr_store.describe,
    ".safetensors": safetensors.describe,
    ".joblib": pickled.describe,
    ".pkl": pickled.describe,
    ".pickle": pickled.describe,
}
READ_BYTES = 64 * 2**20  # of a dense file at once
CHUNK_BYTES = 512 * 2**20  # a chunk is read whole, and not several times, up to this size


def find_files(sources: tuple[str, ...]) -> list[Path]:
    """The files to read, in order: those given, and those that lie directly in a directory that is given.

    Raises BadInput for a path that is not there, a directory without such files, files of several kinds or given twice.
    """
    found: list[Path] = []
    for source in sources:
        path = Path(source).expanduser()
        if not path.exists():
            raise BadInput(f"There is no file or directory '{source}' to read activations from. Check the path.")
        inside = path.is_dir() and path.suffix != ".zarr" and not zarr_store.is_zarr(path)
        found += [child for child in path.iterdir() if child.suffix in KINDS] if inside else [path]
    if not found:
        raise BadInput(
            f"'{sources[0]}' holds no activations: wanted files ending in {', '.join(KINDS)}. Check the path."
        )
    if len({path.resolve() for path in found}) < len(found):
        raise BadInput("A file of activations is given twice, so its samples would be counted twice. Give it once.")
    kinds = {_kind(path): path for path in found}
    if len(kinds) > 1:
        first, second = list(kinds.values())[:2]
        raise BadInput(f"'{first}' and '{second}' are of different kinds. Convert one kind of file at a time.")
    return sorted(found, key=natural_order)


def _kind(path: Path) -> Callable[[Path, Options], Part]:
    if path.is_dir() and zarr_store.is_zarr(path):
        return zarr_store.describe
    if path.suffix not in KINDS:
        raise BadInput(f"'{path}' cannot be read: wanted a file ending in {', '.join(KINDS)}. Convert it to .npy.")
    return KINDS[path.suffix]


def describe_files(files: list[Path], options: Options) -> list[Part]:
    """One part a file; raises BadInput where the files do not have equally many features."""
    parts = [_kind(path)(path, options) for path in files]
    for part in parts[1:]:
        if part.features != parts[0].features:
            raise BadInput(
                f"'{part.path}' has {part.features:,} features, but '{parts[0].path.name}' has {parts[0].features:,}. All"
                " files must be of one SAE."
            )
    return parts


class Piece(NamedTuple):
    """Rows first..stop of a file."""

    part: Part
    first: int
    stop: int
    stamp: dict[str, Any]  # of the part, as it was when the conversion began

    def recorded(self) -> dict[str, Any]:
        """What a batch remembers of where it comes from."""
        return {**self.stamp, "rows": [self.first, self.stop]}


class Source:
    """The rows of all parts, one after the other: `samples` x `features`; `stored` values, or None for dense files."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.features = parts[0].features
        self._offsets = np.cumsum([0, *(part.samples for part in parts)])
        self.samples = int(self._offsets[-1])
        counts = [part.stored for part in parts]
        self.stored = None if None in counts else sum(count for count in counts if count is not None)
        self._stamps = [part.stamp for part in parts]
        self._stack, self._opened = ExitStack(), -1
        self._read: Read | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Source, (self.parts,)  # other processes open the files themselves

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._opened = -1

    def pieces(self, start: int, stop: int) -> list[Piece]:
        """The rows of files that are samples start..stop."""
        offsets = self._offsets.tolist()
        rows = zip(self.parts, self._stamps, offsets[:-1], offsets[1:], strict=True)
        return [
            Piece(part, max(start - first, 0), min(stop, last) - first, stamp)
            for part, stamp, first, last in rows
            if max(start, first) < min(stop, last)
        ]

    def blocks(self, start: int, stop: int) -> Iterator[tuple[Piece, Rows]]:
        """Samples start..stop in order, in blocks of bounded size, each within one file. One file is open at a time."""
        for piece in self.pieces(start, stop):
            read, size = self._open(piece.part), _rows_at_once(piece.part)
            first = piece.first
            while first < piece.stop:
                last = min((first // size + 1) * size, piece.stop)
                yield piece._replace(first=first, stop=last), read(first, last)
                first = last

    def _open(self, part: Part) -> Read:
        number = self.parts.index(part)
        if self._opened != number or self._read is None:
            self._stack.close()
            self._read, self._opened = None, -1
            self._read = self._stack.enter_context(part.open())
            self._opened = number
        return self._read


def _rows_at_once(part: Part) -> int:
    """Rows of a block: what the memory bound allows, in whole chunks where chunks are not too large for that."""
    if part.stored is not None:
        return max(part.samples, 1)
    row_bytes = 8 * max(part.features, 1)
    fitting = max(READ_BYTES // row_bytes, 1)
    if part.chunk_rows * row_bytes > CHUNK_BYTES:
        return fitting
    return max(fitting // part.chunk_rows, 1) * part.chunk_rows
