"""Put files into a hub: whole or not at all, skipped where the very same bytes are there already."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from loaders.errors import BadInput, StoreDamaged
from loaders.hub_place import FolderPlace, ObjectPlace
from precompute.hub_parts import Source

BLOCK = 2**22
Advance = Callable[[int], object]


def upload(place: FolderPlace | ObjectPlace, folder: str, source: Source, advance: Advance) -> bool:
    """Put one file below `<hub>/<folder>`; returns whether it had to be sent.

    Raises StoreDamaged where what was sent is not what was hashed before: it was changed in the meantime.
    """
    path, wanted = f"{folder}/{source.file.path}", source.file
    if place.size(path) == wanted.size and _sha256(place.open(path)) == wanted.sha256:
        advance(wanted.size)
        return False
    if source.path is None:
        put_bytes(place, path, source.data, may_replace=True)
        advance(wanted.size)
        return True
    digest = hashlib.sha256()
    with open(source.path, "rb") as reader:
        if isinstance(place, FolderPlace):
            target, partial = _begin(place, path)
            with open(partial, "wb") as writer:
                _copy(reader, writer, digest, advance)
                writer.flush()
                os.fsync(writer.fileno())
            if digest.hexdigest() == wanted.sha256:
                os.replace(partial, target)
            else:
                partial.unlink()
        else:
            with place.answering("written"), place.files.open(f"{place.path}/{path}", "wb") as writer:
                _copy(reader, writer, digest, advance)
    if digest.hexdigest() != wanted.sha256:
        raise StoreDamaged(f"'{wanted.path}' was changed while it was sent. Wait for what writes it, then push again.")
    return True


def put_bytes(place: FolderPlace | ObjectPlace, path: str, data: bytes, may_replace: bool = False) -> None:
    """Put a small file in place at once; raises BadInput where one is there and may not be replaced."""
    if isinstance(place, FolderPlace):
        target, partial = _begin(place, path)
        with open(partial, "wb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        if may_replace:
            os.replace(partial, target)
            return
        try:
            os.link(partial, target)  # of two who push at the same time one is refused
        except FileExistsError as error:
            raise already_there(path) from error
        except OSError:  # a disk without links
            if target.exists():
                raise already_there(path) from None
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return
    with place.answering("written"):
        try:
            place.files.pipe_file(f"{place.path}/{path}", data, mode="overwrite" if may_replace else "create")
        except FileExistsError as error:  # of two who push at the same time one is refused
            raise already_there(path) from error


def already_there(path: str) -> BadInput:
    name, version = path.split("/")[:2]
    return BadInput(
        f"'{name}@{version}' is published already, and what is published never changes. Choose another --version."
    )


def _begin(place: FolderPlace, path: str) -> tuple[Path, Path]:
    target = place.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target, target.with_name(f".{target.name}.partial")


def _copy(reader: IO[bytes], writer: Any, digest: Any, advance: Advance) -> None:
    while block := reader.read(BLOCK):
        digest.update(block)
        writer.write(block)
        advance(len(block))


def _sha256(opened: IO[bytes]) -> str:
    with opened as file:
        digest = hashlib.sha256()
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
