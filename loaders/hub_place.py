"""Where a hub lies: a folder, or an object store that fsspec reads. Listed at once, read by path, nothing is written here."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from loaders.errors import BadInput, LoupeError, SourceUnavailable
from loaders.hub_schema import DOCUMENT
from loaders.hub_version import NAME
from loaders.mirror import connect, is_url

VARIABLE = "LOUPE_HUB"
FOLDER = "hub"
"""Of a workspace, where nothing else is named."""
Key = tuple[str, str]
"""Name and version."""


class Listed(NamedTuple):
    """An `artifact.json` in a listing: its bytes, and a mark that changes with its content."""

    size: int
    mark: str


class Place(Protocol):
    """A hub's files by their paths below it, such as `my-sae/1.0.0/artifact.json`."""

    shown: str
    """Its address, without a password."""

    def documents(self) -> dict[Key, Listed]:
        """Every published version; raises BadInput where there is no hub, SourceUnavailable where it does not answer."""
        ...

    def read(self, paths: Sequence[str]) -> dict[str, bytes | LoupeError]:
        """Small files in whole, or why not."""
        ...

    def size(self, path: str) -> int | None:
        """Bytes, None where there is no such file."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """For reading, with seek."""
        ...


class FolderPlace:
    """A hub in a directory."""

    def __init__(self, root: Path) -> None:
        self.root, self.shown = root, str(root)

    def documents(self) -> dict[Key, Listed]:
        if not self.root.is_dir():
            raise no_hub(self.shown)
        found = {}
        try:
            versions = [(name, version) for name in _folders(self.root) for version in _folders(Path(name.path))]
        except OSError as error:
            raise SourceUnavailable(
                f"The hub at '{self.shown}' cannot be listed ({error.strerror}). Check its permissions and its disk."
            ) from error
        for name, version in versions:
            try:
                facts = os.stat(os.path.join(version.path, DOCUMENT), follow_symlinks=False)
            except OSError:  # not published (yet)
                continue
            if stat.S_ISREG(facts.st_mode):
                found[name.name, version.name] = Listed(facts.st_size, f"{facts.st_mtime_ns} {facts.st_ino}")
        return found

    def read(self, paths: Sequence[str]) -> dict[str, bytes | LoupeError]:
        found: dict[str, bytes | LoupeError] = {}
        for path in paths:
            try:
                with self.open(path) as file:
                    found[path] = file.read()
            except (OSError, LoupeError) as error:
                found[path] = SourceUnavailable(f"'{path}' of the hub cannot be read ({error}). Try again.")
        return found

    def size(self, path: str) -> int | None:
        try:
            facts = os.stat(self.root / path, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None

    def open(self, path: str) -> IO[bytes]:
        if self.size(path) is None:
            raise SourceUnavailable(f"'{path}' of the hub at '{self.shown}' is not there. Try again.")
        try:
            return open(self.root / path, "rb")
        except OSError as error:
            raise SourceUnavailable(
                f"'{path}' of the hub at '{self.shown}' cannot be read ({error.strerror}). Check its permissions."
            ) from error


def _folders(directory: Path) -> Iterator[Any]:
    with os.scandir(directory) as found:
        yield from (each for each in found if NAME.fullmatch(each.name) and each.is_dir())


class ObjectPlace:
    """A hub below a URL; one listing finds every version, and the small files are read at the same time."""

    def __init__(self, url: str) -> None:
        self.url, self.shown = url.rstrip("/"), without_password(url).rstrip("/")
        self.files, path = connect(self.url)
        self.path = str(path).rstrip("/")

    def documents(self) -> dict[Key, Listed]:
        with self.answering("listed"):
            self.files.invalidate_cache()
            try:
                listed = self.files.find(self.path, detail=True)
            except FileNotFoundError as error:
                raise no_hub(self.shown) from error
        found = {}
        for path, facts in listed.items():
            parts = path[len(self.path) :].strip("/").split("/")
            if len(parts) == 3 and parts[2] == DOCUMENT and NAME.fullmatch(parts[0]):
                marks = [str(facts.get(key)) for key in ("ETag", "mtime", "LastModified", "created")]
                found[parts[0], parts[1]] = Listed(int(facts.get("size") or 0), " ".join(marks))
        return found

    def read(self, paths: Sequence[str]) -> dict[str, bytes | LoupeError]:
        if not paths:
            return {}
        whole = {f"{self.path}/{path}": path for path in paths}
        with self.answering("read"):
            answers = self.files.cat(list(whole), on_error="return")
        return {
            whole[place]: found
            if isinstance(found, bytes)
            else SourceUnavailable(f"'{whole[place]}' of the hub cannot be read ({found}). Try again.")
            for place, found in answers.items()
        }

    def size(self, path: str) -> int | None:
        with self.answering("read"):
            try:
                return int(self.files.info(f"{self.path}/{path}", refresh=True)["size"])
            except FileNotFoundError:
                return None

    def open(self, path: str) -> IO[bytes]:
        with self.answering("read"):
            opened: IO[bytes] = self.files.open(f"{self.path}/{path}", "rb", cache_type="readahead")
            return opened

    @contextmanager
    def answering(self, verb: str) -> Iterator[None]:
        """Turn whatever the file system's package raises into one sentence."""
        try:
            yield
        except LoupeError:
            raise
        except Exception as error:
            reason = without_password(str(error))
            raise SourceUnavailable(
                f"The hub at '{self.shown}' cannot be {verb} ({reason}). Check address, network and credentials."
            ) from error


def open_place(address: str) -> FolderPlace | ObjectPlace:
    """The hub at a folder or a URL, which is not looked at yet; raises BadInput where no package reads such URLs."""
    return ObjectPlace(address) if is_url(address) else FolderPlace(Path(address).expanduser().absolute())


def find_address(given: str | None, workspace: Path | None) -> str | None:
    """The hub that was named, or else LOUPE_HUB, or else the folder `hub` of the workspace, or none."""
    if address := given or os.environ.get(VARIABLE):
        return address
    if workspace is not None and (workspace / FOLDER).is_dir():
        return str(workspace / FOLDER)
    return None


def without_password(text: str) -> str:
    """An address, or a sentence with addresses in it, without what stands before an @ in `scheme://user:password@host`."""
    return re.sub(r"(?<=://)[^/\s@]*@", "", text)


def no_hub(shown: str) -> BadInput:
    return BadInput(f"There is no hub at '{shown}'. Name another one, or begin one there with `loupe hub push`.")
