"""Bring an artifact's files to a hidden directory: checked as they arrive, continued where a stopped pull left them."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from loaders.errors import LoupeError, SourceUnavailable, StoreDamaged
from loaders.hub_place import FolderPlace, ObjectPlace
from loaders.hub_schema import Artifact, File
from loaders.manifest import file_sha256

BLOCK = 2**22
Advance = Callable[[int], object]


def download(place: FolderPlace | ObjectPlace, artifact: Artifact, file: File, target: Path, advance: Advance) -> bool:
    """Put one file at `target`; returns whether any of it had to be fetched.

    A part that is there is continued. Raises StoreDamaged where the hub's file is missing or has another size or sha256
    than `artifact.json` says, SourceUnavailable where the hub does not answer.
    """
    if _is_whole(target, file):
        advance(file.size)
        return False
    _require_size(place, artifact, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    if _fetch(place, artifact, file, partial, advance) != file.sha256:
        partial.unlink()
        raise damaged(artifact, file, "has another sha256 than its author's")
    os.replace(partial, target)
    return True


def hub_faults(place: FolderPlace | ObjectPlace, artifact: Artifact, advance: Advance) -> list[str]:
    """Every file in the hub that is missing, has another size or another sha256, in words; all are read to their end."""
    found = []
    for file in artifact.files:
        try:
            _require_size(place, artifact, file)
            digest = hashlib.sha256()
            with place.open(_path(artifact, file)) as opened:
                while block := _read(opened.read, BLOCK, artifact, file):
                    digest.update(block)
                    advance(len(block))
            if digest.hexdigest() != file.sha256:
                raise damaged(artifact, file, "has another sha256 than its author's")
        except StoreDamaged as error:
            found.append(str(error))
    return found


def damaged(artifact: Artifact, file: File, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"'{file.path}' of '{artifact.reference}' in the hub {what}. Ask its author to push a new version."
    )


def _fetch(place: FolderPlace | ObjectPlace, artifact: Artifact, file: File, partial: Path, advance: Advance) -> str:
    """Append what is missing of a part, or begin anew where the whole turns out wrong; the sha256 of the result."""
    digest, done = hashlib.sha256(), 0
    if partial.exists() and partial.stat().st_size <= file.size:
        with open(partial, "rb") as begun:
            while block := begun.read(BLOCK):
                digest.update(block)
                done += len(block)
    was_begun = done > 0
    with place.open(_path(artifact, file)) as reader, open(partial, "ab" if was_begun else "wb") as writer:
        reader.seek(done)
        advance(done)
        while done < file.size and (block := _read(reader.read, min(BLOCK, file.size - done), artifact, file)):
            digest.update(block)
            writer.write(block)
            advance(len(block))
            done += len(block)
        writer.flush()
        os.fsync(writer.fileno())
    if was_begun and digest.hexdigest() != file.sha256:
        partial.unlink()
        advance(-done)
        return _fetch(place, artifact, file, partial, advance)
    return digest.hexdigest()


def _read(read: Callable[[int], bytes], size: int, artifact: Artifact, file: File) -> bytes:
    try:
        return read(size)
    except LoupeError:
        raise
    except Exception as error:  # whatever the file system's package raises
        raise SourceUnavailable(
            f"'{file.path}' of '{artifact.reference}' cannot be read from the hub ({error}). The same command continues."
        ) from error


def _require_size(place: FolderPlace | ObjectPlace, artifact: Artifact, file: File) -> None:
    found = place.size(_path(artifact, file))
    if found is None:
        raise damaged(artifact, file, "is missing")
    if found != file.size:
        raise damaged(artifact, file, f"has {found:,} bytes instead of {file.size:,}")


def _is_whole(path: Path, file: File) -> bool:
    return path.is_file() and path.stat().st_size == file.size and file_sha256(path) == file.sha256


def _path(artifact: Artifact, file: File) -> str:
    return f"{artifact.name}/{artifact.version}/{file.path}"
