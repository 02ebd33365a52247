"""A workspace in an object store, seen through a local directory.

Manifests, tables, datasets and SAEs are small: each is copied once, checked against the manifest's sha256, and kept.
Snapshots of a training are copied when they are looked at.
Activations stay where they are and are read by range (see `object_csc`).
"""

import hashlib
import json
import os
import time
from collections.abc import Collection
from pathlib import Path
from threading import RLock
from typing import Any

from loaders.errors import BadInput, SourceUnavailable, StoreDamaged
from loaders.manifest import NAME, file_sha256, is_published, read_manifest

ELSEWHERE = ("activations/", "features.zarr/indices/", "features.zarr/data/", "transposed.zarr/", "neuron_acts/")
"""Files of a store that are not copied."""
KINDS = {"stores": "store", "datasets": "dataset", "layers": "layers"}
POINTER = "objects.json"
LISTED_FOR_S = 5.0  # a listing of the object store is believed for as long
SAE_FILES = ("cfg.json", "sae_weights.safetensors", "metrics.jsonl")


def is_url(text: str) -> bool:
    return "://" in text


def connect(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it; raises BadInput where no package reads such URLs."""
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise BadInput(
            f"'{url}' cannot be read ({error}). Install what reads it (S3: pip install -e '.[objects]') or use a directory."
        ) from error


class Mirror:
    """The local side of one workspace URL, under LOUPE_CACHE or `~/.cache/loupe`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files, self._path = connect(self.url)
        cache = Path(os.environ.get("LOUPE_CACHE") or "~/.cache/loupe").expanduser()
        self.root = cache / hashlib.sha256(self.url.encode()).hexdigest()[:16]
        self._listed: dict[str, float] = {}
        self._seen: dict[str, Any] = {}  # what the object store said of a file when it was copied
        self._names: dict[str, list[str]] = {}
        self._lock, self._copying = RLock(), RLock()

    def refresh(self, kind: str) -> None:
        """Copy the manifests (of SAEs: all small files) below `<url>/<kind>`; a listing is believed for 5 s."""
        with self._lock:
            if time.monotonic() - self._listed.get(kind, -LISTED_FOR_S) < LISTED_FOR_S:
                return
            names, there = SAE_FILES if kind == "saes" else (NAME,), self._list(kind)
            for gone in {path.name for path in (self.root / kind).glob("*")} - set(there):
                for name in names:
                    (self.root / kind / gone / name).unlink(missing_ok=True)
            for directory in there:
                for name in names:
                    self._copy_changed(f"{kind}/{directory}/{name}")
            self._listed[kind] = time.monotonic()

    def fetch(self, kind: str, name: str) -> None:
        """Copy every small file that the manifest of `<kind>/<name>` lists; raises StoreDamaged when one has another hash."""
        with self._lock:
            self.refresh(kind)
            directory = self.root / kind / name
            if not is_published(directory):
                return
            files = read_manifest(directory, KINDS[kind])["files"]
            for file, facts in files.items():
                if kind == "stores" and file.startswith(ELSEWHERE):
                    self._require_size(f"{kind}/{name}/{file}", facts["bytes"])
                else:
                    self._copy_listed(f"{kind}/{name}/{file}", facts)
            if kind == "stores":
                (directory / POINTER).write_text(json.dumps({"url": f"{self.url}/{kind}/{name}"}))

    def fetch_file(self, name: str) -> None:
        """Copy a file that no manifest lists when it changed; forget it when it is gone. Believed for 5 s."""
        with self._lock:
            if time.monotonic() - self._listed.get(name, -LISTED_FOR_S) >= LISTED_FOR_S:
                self._copy_changed(name)
                self._listed[name] = time.monotonic()

    def names(self, folder: str) -> list[str]:
        """Names of what lies in a folder; a listing is believed for 5 s."""
        with self._lock:
            if time.monotonic() - self._listed.get(folder, -LISTED_FOR_S) >= LISTED_FOR_S:
                self._names[folder] = self._list(folder)
                self._listed[folder] = time.monotonic()
            return self._names[folder]

    def fetch_folder(self, folder: str, names: Collection[str]) -> None:
        """Copy these files of a folder where they changed, and forget all others of it; believed for 5 s. They may be large:
        whoever asks for other things does not wait for them."""
        copied = f"{folder} {sorted(names)}"
        with self._copying:
            if time.monotonic() - self._listed.get(copied, -LISTED_FOR_S) < LISTED_FOR_S:
                return
            for gone in {path.name for path in self._local(folder).glob("[!.]*")} - set(names):
                self._local(f"{folder}/{gone}").unlink(missing_ok=True)
            for name in names:
                self._copy_changed(f"{folder}/{name}")
            self._listed[copied] = time.monotonic()

    def _list(self, kind: str) -> list[str]:
        try:
            found = self._files.ls(f"{self._path}/{kind}", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        except Exception as error:  # whatever the file system's package raises
            raise SourceUnavailable(
                f"'{self.url}' cannot be listed ({error}). Check address and credentials."
            ) from error
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _copy_changed(self, name: str) -> None:
        """Copy a file when it is there and not the one that was copied last."""
        try:
            facts = self._files.info(f"{self._path}/{name}", refresh=True)
        except FileNotFoundError:
            self._local(name).unlink(missing_ok=True)
            return
        except Exception as error:  # whatever the file system's package raises
            raise SourceUnavailable(f"'{self.url}/{name}' cannot be read ({error}). Try again.") from error
        state = [str(facts.get(key)) for key in ("ETag", "mtime", "LastModified", "size")]
        if self._seen.get(name) != state or not self._local(name).exists():
            self._copy(name)
            self._seen[name] = state

    def _copy_listed(self, name: str, facts: dict[str, Any]) -> None:
        local = self._local(name)
        if self._seen.get(name) == facts["sha256"] and local.exists():
            return
        if not (local.exists() and file_sha256(local) == facts["sha256"]):
            self._copy(name, facts["sha256"])
        self._seen[name] = facts["sha256"]

    def _require_size(self, name: str, wanted: int) -> None:
        """What stays in the object store must at least be there and as long as its manifest says."""
        if name.endswith(".json") or self._seen.get(name) == wanted:
            return
        try:
            found = int(self._files.size(f"{self._path}/{name}"))
        except FileNotFoundError:
            found = -1
        except Exception as error:  # whatever the file system's package raises
            raise SourceUnavailable(f"'{self.url}/{name}' cannot be read ({error}). Try again.") from error
        if found != wanted:
            state = "is missing" if found < 0 else f"has {found:,} bytes instead of {wanted:,}"
            raise StoreDamaged(f"'{self.url}/{name}' {state}. Copy the workspace again.")
        self._seen[name] = wanted

    def _copy(self, name: str, sha256: str | None = None) -> None:
        local = self._local(name)
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{os.getpid()}.partial")
        try:
            self._files.get_file(f"{self._path}/{name}", str(partial))
        except FileNotFoundError as error:
            raise StoreDamaged(f"'{self.url}/{name}' is listed but missing. Copy the workspace again.") from error
        except Exception as error:  # whatever the file system's package raises
            raise SourceUnavailable(f"'{self.url}/{name}' cannot be read ({error}). Try again.") from error
        if sha256 is not None and file_sha256(partial) != sha256:
            partial.unlink()
            raise StoreDamaged(
                f"'{self.url}/{name}' is not the file that its manifest lists. Copy the workspace again."
            )
        partial.replace(local)

    def _local(self, name: str) -> Path:
        """Where a file is kept; raises StoreDamaged for a name that leads out of the mirror."""
        local = (self.root / name).resolve()
        if not local.is_relative_to(self.root.resolve()):
            raise StoreDamaged(f"'{self.url}' lists '{name}', which lies outside of it.")
        return local
