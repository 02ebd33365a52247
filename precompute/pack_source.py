"""The files of a pack, whether it is a directory or one .tar: opened by the names that its list promises, and by no others.

A pack comes from somebody else, so nothing in it is believed: not its names, not its sizes, not its hashes.
"""

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import IO, Any

from loaders.errors import BadInput, StoreDamaged
from loaders.seal import is_intact
from loaders.workspace import slug

LIST = "pack.json"
FORMAT, VERSION = "loupe-pack", 1
ACTIVATIONS = "store/features.parquet"
COMPRESSED = ".zst"
PART = re.compile(r"[A-Za-z0-9@+_-][A-Za-z0-9@.+_-]{0,254}")
SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_PARTS = 12
MOST_LIST_BYTES = 2**26
BLOCK = 2**20


class PackDamaged(StoreDamaged):
    """A pack, or one of its files, is not what its sender made."""


def is_safe(name: object) -> bool:
    """Whether a name leads to a file below: parts of plain characters, none beginning with a dot, not absolute."""
    parts = name.split("/") if isinstance(name, str) else []
    return 0 < len(parts) <= MOST_PARTS and all(PART.fullmatch(part) for part in parts)


def is_id(text: str) -> bool:
    """Whether that is the id of an SAE or a dataset."""
    try:
        return slug(text) == text
    except BadInput:
        return False


def is_entry(entry: object) -> bool:
    """Whether that is a file's `bytes` and `sha256`."""
    if not isinstance(entry, dict):
        return False
    size, digest = entry.get("bytes"), entry.get("sha256")
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return is_size and isinstance(digest, str) and bool(SHA256.fullmatch(digest))


class PackSource:
    """A pack at `path`; `files` are its names with bytes and sha256, as `pack.json` lists them."""

    def __init__(self, path: Path) -> None:
        """Raises BadInput for what is no pack or one of a later version, PackDamaged for one that cannot be trusted."""
        self.path = path
        self._tar = None if path.is_dir() else _open_tar(path)
        self._members = _members(self._tar, path) if self._tar else {}
        self.files = self._read_list()
        for name, entry in self.files.items():
            found = self._size(name)
            if found != entry["bytes"]:
                state = "is missing" if found is None else f"has {found:,} bytes instead of {entry['bytes']:,}"
                raise PackDamaged(f"File '{name}' of pack '{path.name}' {state}. Ask for the pack again.")

    def __enter__(self) -> "PackSource":
        return self

    def __exit__(self, *error: object) -> None:
        if self._tar:
            self._tar.close()

    def open(self, name: str) -> IO[bytes]:
        """A listed file for reading, with seek; raises PackDamaged for a name that is not listed."""
        if name not in self.files:
            raise PackDamaged(f"Pack '{self.path.name}' has no '{name}'. Ask for the pack again.")
        return self._open(name)

    def require_whole(self, name: str, advance: Any) -> None:
        """Hash one file; raises PackDamaged where its sha256 is not the listed one."""
        digest = hashlib.sha256()
        with self.open(name) as file:
            while block := file.read(BLOCK):
                digest.update(block)
                advance(len(block))
        if digest.hexdigest() != self.files[name]["sha256"]:
            raise PackDamaged(f"File '{name}' of pack '{self.path.name}' was altered. Ask for the pack again.")

    def read_json(self, name: str) -> dict[str, Any]:
        """A listed file that holds one JSON object."""
        with self.open(name) as file:
            return _parse(file.read(MOST_LIST_BYTES), name, self.path)

    def _read_list(self) -> dict[str, dict[str, Any]]:
        size = self._size(LIST)
        if size is None:
            raise BadInput(f"'{self.path}' is no pack: it has no {LIST}. Name what `loupe pack` wrote.")
        if size > MOST_LIST_BYTES:
            raise PackDamaged(
                f"{LIST} of '{self.path.name}' has {size:,} bytes, which is no list. Ask for the pack again."
            )
        with self._open(LIST) as file:
            found = _parse(file.read(), LIST, self.path)
        if found.get("format") != FORMAT or not isinstance(found.get("version"), int):
            raise BadInput(f"'{self.path}' is no pack: its {LIST} is of another kind. Name what `loupe pack` wrote.")
        if found["version"] > VERSION:
            raise BadInput(
                f"Pack '{self.path.name}' has version {found['version']}; this Loupe reads {VERSION}. Update Loupe."
            )
        files = found.get("files")
        if not is_intact(found) or not isinstance(files, dict):
            raise PackDamaged(f"File '{LIST}' of pack '{self.path.name}' was altered. Ask for the pack again.")
        for name, entry in files.items():
            if not is_safe(name) or not is_entry(entry):
                raise PackDamaged(
                    f"Pack '{self.path.name}' lists '{str(name)[:120]}', which cannot be one of its files."
                )
        return files

    def _open(self, name: str) -> IO[bytes]:
        if self._tar:
            file = self._tar.extractfile(self._members[name])
            assert file is not None  # members are regular files
            return file
        return open(self.path / name, "rb")

    def _size(self, name: str) -> int | None:
        """Bytes of a file, None where there is none; raises PackDamaged where a link leads to it."""
        if self._tar:
            return self._members[name].size if name in self._members else None
        path = self.path / name
        above = [path, *(self.path / parent for parent in Path(name).parents if parent != Path("."))]
        if any(place.is_symlink() for place in above):
            raise PackDamaged(f"'{name}' of pack '{self.path.name}' is a link; a pack holds files only.")
        return path.stat().st_size if path.is_file() else None


def _open_tar(path: Path) -> tarfile.TarFile:
    if not path.exists():
        raise BadInput(f"There is no pack at '{path}'.")
    try:
        return tarfile.open(path, "r:")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise BadInput(f"'{path}' is no pack: neither a directory nor a .tar ({error}).") from error


def _members(tar: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    try:
        for member in tar:
            if not is_safe(member.name) or not member.isreg() or member.issparse() or member.name in found:
                raise PackDamaged(
                    f"Pack '{path.name}' holds '{member.name[:120]}', which is no plain file of a pack. It is refused."
                )
            found[member.name] = member
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise PackDamaged(f"Pack '{path.name}' breaks off or is altered ({error}). Ask for the pack again.") from error
    return found


def _parse(data: bytes, name: str, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PackDamaged(f"File '{name}' of pack '{path.name}' is not valid JSON ({error}).") from error
    if not isinstance(found, dict):
        raise PackDamaged(f"File '{name}' of pack '{path.name}' holds no JSON object.")
    return found
