"""Where everything lies in a workspace, and how it is opened by id."""

import os
import re
from pathlib import Path
from threading import Lock
from typing import Any

from loaders.dataset import Dataset
from loaders.errors import BadInput, LoupeError, StoreDamaged, StoreNotFound
from loaders.layers import LayerSet
from loaders.manifest import is_published, read_manifest, stamp
from loaders.mirror import Mirror, is_url
from loaders.sae import SaeRecord
from loaders.snapshots import FOLDER, snapshot_name, snapshot_steps, steps_of
from loaders.store import Store

STORE_ID = re.compile(r"(?=.{3,255}$)[a-z0-9._-]+@[a-z0-9._-]+")  # at most what a directory's name may be
PLAYLIST_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


def slug(text: str) -> str:
    """Make an id of any name: lower case, everything but `[a-z0-9._-]` becomes `-`."""
    made = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")
    if not made:
        raise BadInput(f"'{text}' has no letter or digit to make an id from. Choose another name.")
    return made


class Workspace:
    """A directory, or an object store's URL to read from, of datasets, activations, SAEs, stores and layer matches."""

    def __init__(self, root: Path | str) -> None:
        self._mirror = Mirror(str(root)) if is_url(str(root)) else None
        self.root = self._mirror.root if self._mirror else Path(root).expanduser().resolve()
        self._open: dict[str, tuple[object, Store]] = {}
        self._manifests: dict[str, tuple[object, dict[str, Any]]] = {}
        self._lock = Lock()

    @property
    def url(self) -> str | None:
        """The object store that it is read from; None where it is a directory, which can be written to."""
        return self._mirror.url if self._mirror else None

    @property
    def catalog_url(self) -> str:
        """LOUPE_DATABASE_URL, or the SQLite file in the workspace; raises BadInput when a URL's workspace has neither."""
        named = os.environ.get("LOUPE_DATABASE_URL")
        if self._mirror and not named:
            raise BadInput(
                f"Labels cannot be kept in '{self._mirror.url}'. Set LOUPE_DATABASE_URL to a database for them."
            )
        return named or f"sqlite:///{self.root / 'catalog.sqlite'}"

    def dataset_dir(self, dataset_id: str) -> Path:
        return self.root / "datasets" / slug(dataset_id)

    def activations_dir(self, model_id: str, dataset_id: str, hook: str) -> Path:
        return self.root / "activations" / slug(model_id) / slug(dataset_id) / slug(hook)

    def sae_dir(self, sae_id: str) -> Path:
        return self.root / "saes" / slug(sae_id)

    def store_dir(self, store_id: str) -> Path:
        """Directory of `<sae>@<dataset>`; raises StoreNotFound for anything that is not such an id."""
        if not STORE_ID.fullmatch(store_id) or ".." in store_id:
            raise StoreNotFound(f"{store_id[:80]!r} is not a store id: wanted <sae>@<dataset> in [a-z0-9._-].")
        return self.root / "stores" / store_id

    def layers_dir(self, set_id: str) -> Path:
        return self.root / "layers" / slug(set_id)

    def models_dir(self) -> Path:
        return self.root / "models"

    def file(self, name: str) -> Path:
        """Where a small file that no manifest lists lies, if it is there; of a URL's workspace the newest copy of it."""
        if self._mirror:
            self._mirror.fetch_file(name)
        return self.root / name

    def playlist_path(self, name: str) -> Path:
        """Where a playlist lies or will lie; raises BadInput for what is no name."""
        if not PLAYLIST_NAME.fullmatch(name):
            raise BadInput(f"{name[:80]!r} is no name of a playlist: wanted up to 80 of [a-z0-9._-].")
        return self.file(f"playlists/{name}.json")

    def playlist_names(self) -> list[str]:
        """Names of the playlists, sorted."""
        folder = self.root / "playlists"
        names = self._mirror.names("playlists") if self._mirror else os.listdir(folder) if folder.is_dir() else []
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted(stem for stem in stems if PLAYLIST_NAME.fullmatch(stem))

    def store_ids(self) -> list[str]:
        """Ids of the published stores, sorted."""
        return sorted(path.name for path in self._children("stores") if is_published(path))

    def sae_ids(self) -> list[str]:
        """Ids of the finished SAEs, sorted."""
        return sorted(path.name for path in self._children("saes") if (path / "cfg.json").exists())

    def _children(self, kind: str) -> list[Path]:
        if self._mirror:
            self._mirror.refresh(kind)
        directory = self.root / kind
        return [path for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []

    def open_store(self, store_id: str) -> Store:
        """Open a published store; kept open until its manifest changes. Raises StoreNotFound or StoreDamaged."""
        directory = self.store_dir(store_id)
        if self._mirror:
            self._mirror.refresh("stores")
        if not is_published(directory):
            there = ", ".join(self.store_ids()) or "none yet"
            raise StoreNotFound(f"There is no store '{store_id[:80]}' in this workspace (stores: {there}).")
        now = stamp(directory)
        with self._lock:
            kept = self._open.get(store_id)
            if kept is None or kept[0] != now:
                if self._mirror:
                    self._mirror.fetch("stores", store_id)
                    self._mirror.fetch("datasets", slug(store_id.partition("@")[2]))
                kept = self._open[store_id] = self._open_steadily(directory, now)
        return kept[1]

    def _open_steadily(self, directory: Path, now: object) -> tuple[object, Store]:
        """Open a store, once more where a new generation of it was published in the meantime."""
        try:
            return now, Store.open(directory, self.root / "datasets")
        except StoreDamaged:
            if (again := stamp(directory)) == now:
                raise
            return again, Store.open(directory, self.root / "datasets")

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Manifest of every published store that has a readable one; nothing else of the stores is looked at."""
        found = {}
        for store_id in self.store_ids():
            directory = self.store_dir(store_id)
            now = stamp(directory)
            kept = self._manifests.get(store_id)
            try:
                if kept is None or kept[0] != now:
                    kept = self._manifests[store_id] = (now, read_manifest(directory, "store"))
            except LoupeError:  # opening that store says what is wrong; the others are not its hostages
                continue
            found[store_id] = kept[1]
        return found

    def sets(self) -> dict[str, list[str]]:
        """Store ids by set, in layer order, the oldest set first; a store without a set stands alone under its own id."""
        members: dict[str, list[tuple[int, str]]] = {}
        made: dict[str, str] = {}
        for store_id, manifest in self.manifests().items():
            group, created = manifest.get("set") or store_id, str(manifest.get("created_at") or "")
            members.setdefault(group, []).append((int(manifest.get("layer_index") or 0), store_id))
            made[group] = min(created, made.get(group, created))
        oldest_first = sorted(members, key=lambda group: (made[group], group))
        return {group: [store_id for _, store_id in sorted(members[group])] for group in oldest_first}

    def sae(self, sae_id: str) -> SaeRecord:
        if self._mirror:
            self._mirror.refresh("saes")
        return SaeRecord.open(self.sae_dir(sae_id))

    def snapshot_steps(self, sae_id: str) -> list[int]:
        """Steps of which a run keeps a snapshot, ascending; nothing is opened or copied."""
        directory = self.sae_dir(sae_id)
        return steps_of(self._mirror.names(_snapshots(directory))) if self._mirror else snapshot_steps(directory)

    def with_snapshots(self, sae_id: str) -> Path:
        """The directory of an SAE, with its snapshots in it."""
        directory = self.sae_dir(sae_id)
        if self._mirror:
            folder = _snapshots(directory)
            self._mirror.fetch_folder(folder, [snapshot_name(step) for step in self.snapshot_steps(sae_id)])
        return directory

    def dataset(self, dataset_id: str) -> Dataset:
        if self._mirror:
            self._mirror.fetch("datasets", slug(dataset_id))
        return Dataset.open(self.dataset_dir(dataset_id))

    def layer_set(self, set_id: str) -> LayerSet:
        if self._mirror:
            self._mirror.fetch("layers", slug(set_id))
        return LayerSet.open(self.layers_dir(set_id))


def _snapshots(sae_dir: Path) -> str:
    return f"{sae_dir.parent.name}/{sae_dir.name}/{FOLDER}"
