"""The backend over another Loupe's HTTP interface: one Arrow stream per feature, checked to be whole."""

import http.client
import json
import re
import threading
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import numpy as np
import pyarrow as pa

from loaders.errors import BadInput, FeatureNotFound, LoupeError, SourceUnavailable, StoreDamaged
from loaders.manifest import is_published, read_manifest
from loaders.protocol import FeatureActivations

POINTER = "remote.json"
ELSEWHERE = ("activations/", "features.zarr/", "transposed.zarr/", "neuron_acts/")
"""Files that a store with a pointer need not hold itself."""
TIMEOUT_S = 30.0  # for the connection, and for each wait for more of an answer
ADDRESS = re.compile(r"(/[^?#]*)?/api/v1/stores/[a-z0-9._-]+@[a-z0-9._-]+")
WANTED = "http://host:port/api/v1/stores/<id>"
SCHEMA = pa.schema([("sample_index", pa.uint32()), ("activation", pa.float32())])
MADE_FROM = ("sae", "dataset")
CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)  # what a kept connection ends with


class RemoteStore(NamedTuple):
    """What the other server says of its store: shapes, and fingerprints of the SAE and dataset that it was made from."""

    features: int
    samples: int
    fingerprints: dict[str, str]


class RemoteLoader:
    """Reads the store that `remote.json` points to: `{"url": "http://host:port/api/v1/stores/<id>"}`.

    Nothing is asked before the first feature. Each thread keeps a connection of its own. Where `store_dir` has a manifest,
    the other store must have been made from the same SAE and dataset.
    """

    def __init__(self, store_dir: Path) -> None:
        """Raises StoreDamaged when `remote.json` is there and does not name a store's address."""
        self._timeout = TIMEOUT_S
        self._kept = threading.local()
        self._address: SplitResult | None = None
        self._own: dict[str, str] | None = None
        if (store_dir / POINTER).exists():
            self._address = read_pointer(store_dir / POINTER)
            if is_published(store_dir):
                self._own = read_manifest(store_dir, "store")["fingerprints"]

    @classmethod
    def at(cls, url: str, timeout: float = TIMEOUT_S) -> "RemoteLoader":
        """The store at `http://host:port/api/v1/stores/<id>`; raises BadInput for any other address."""
        made = cls(Path())
        made._address, made._own, made._timeout = read_address(url), None, timeout
        return made

    @property
    def is_available(self) -> bool:
        return self._address is not None

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._address.geturl() if self._address else ""

    @property
    def features(self) -> int:
        return self._store.features

    def load(self, feature_id: int) -> FeatureActivations:
        """Raises FeatureNotFound, and SourceUnavailable when the server is away or its answer is not whole."""
        if not 0 <= feature_id < self.features:
            raise FeatureNotFound(feature_id, self.features, f"the store at '{self.url}'")
        return self._read_stream(feature_id, self._get(f"/features/{feature_id}/activations.arrow"))

    @cached_property
    def _store(self) -> RemoteStore:
        try:
            said = json.loads(self._get(""))
            found = {kind: said["fingerprints"][kind] for kind in MADE_FROM}
            store = RemoteStore(int(said["features"]), int(said["samples"]), found)
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(f"with no description of a store ({type(error).__name__}: {error})") from error
        for kind in MADE_FROM:
            if self._own is not None and self._own.get(kind) != store.fingerprints[kind]:
                raise StoreDamaged(
                    f"The store at '{self.url}' was made from another {kind} than the manifest beside {POINTER} says."
                    " Point it to the right store."
                )
        return store

    def _read_stream(self, feature_id: int, body: bytes) -> FeatureActivations:
        """The activations of an answer that is proved to be whole and this feature's."""
        try:
            table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
            table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise self._unusable(f"with no whole Arrow stream of feature {feature_id} ({reason})") from error
        said = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if not table.schema.equals(SCHEMA) or said.get("feature_id") != str(feature_id):
            raise self._unusable(f"with something else than the activations of feature {feature_id}")
        if any(said.get(f"{kind}_fingerprint") != self._store.fingerprints[kind] for kind in MADE_FROM):
            raise self._unusable("from another store than before: it was replaced. Open it again")
        if said.get("total") != str(table.num_rows):
            raise self._unusable(f"with {table.num_rows:,} of {said.get('total')} activations of feature {feature_id}")
        indices, values = table["sample_index"].to_numpy(), table["activation"].to_numpy()
        if len(indices) and not self._is_sound(indices, values):
            raise self._unusable(f"with activations of feature {feature_id} that no store holds")
        return FeatureActivations(indices, values)

    def _is_sound(self, indices: np.ndarray, values: np.ndarray) -> bool:
        is_ascending = bool((indices[1:] > indices[:-1]).all()) and indices[-1] < self._store.samples
        return is_ascending and bool(np.isfinite(values).all())

    def _get(self, path: str) -> bytes:
        """The body of a whole answer with status 200; raises SourceUnavailable for anything else."""
        try:
            status, body = self._ask_again(path)
        except (OSError, http.client.HTTPException) as error:
            self._connection().close()
            reason = " ".join(str(error).split()) or type(error).__name__
            raise SourceUnavailable(
                f"The store at '{self.url}' cannot be read ({reason}). Start its server with `loupe api`, or correct the"
                " address."
            ) from error
        if status != 200:
            raise self._unusable(f"with status {status}{_sentence(body)}")
        return body

    def _ask_again(self, path: str) -> tuple[int, bytes]:
        """Ask once more on a new connection when the server had closed the kept one in the meantime."""
        is_kept = self._connection().sock is not None
        try:
            return self._ask(path)
        except CLOSED:
            self._connection().close()
            if not is_kept:
                raise
            return self._ask(path)

    def _ask(self, path: str) -> tuple[int, bytes]:
        assert self._address is not None
        connection = self._connection()
        connection.request("GET", self._address.path + path, headers={"Accept-Encoding": "identity"})
        reply = connection.getresponse()
        return reply.status, reply.read()

    def _connection(self) -> http.client.HTTPConnection:
        """This thread's connection; http.client opens it again after it was closed."""
        if not hasattr(self._kept, "connection"):
            if self._address is None or self._address.hostname is None:
                raise StoreDamaged(f"There is no {POINTER} that names the store to read from. Write one.")
            kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
            open_one = kinds[self._address.scheme]
            self._kept.connection = open_one(self._address.hostname, self._address.port, timeout=self._timeout)
        connection: http.client.HTTPConnection = self._kept.connection
        return connection

    def _unusable(self, found: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"The server at '{self.url}' answered {found}. Nothing of it is used: look at its log."
        )


def read_address(url: str) -> SplitResult:
    """A store's address, split; raises BadInput when it is not http(s) or does not lead to a store."""
    try:
        address = urlsplit(url.rstrip("/"))
        is_sound = address.port is None or address.port > 0
    except ValueError:
        raise _not_a_store(url) from None
    is_plain = not (address.query or address.fragment or address.username or address.password)
    if address.scheme not in ("http", "https") or not (address.hostname and is_sound and is_plain):
        raise _not_a_store(url)
    if not ADDRESS.fullmatch(address.path) or not url.isascii() or not url.isprintable() or " " in url:
        raise _not_a_store(url)
    return address


def read_pointer(path: Path) -> SplitResult:
    """The address in a `remote.json`; raises StoreDamaged when it holds anything else."""
    try:
        document: Any = json.loads(path.read_text())
        if not isinstance(document, dict) or set(document) != {"url"} or not isinstance(document["url"], str):
            raise BadInput(f'it holds something else than {{"url": "{WANTED}"}}')
        return read_address(document["url"])
    except (OSError, ValueError, LoupeError) as error:
        reason = str(error).rstrip(".")
        raise StoreDamaged(f"'{path}' does not say where the store is ({reason}). Write it again.") from error


def _not_a_store(url: str) -> BadInput:
    return BadInput(f"'{url[:200]}' is not the address of a store: wanted {WANTED} (http or https).")


def _sentence(body: bytes) -> str:
    """The one sentence of a Loupe's error, to be quoted."""
    try:
        return f": {str(json.loads(body)['error'])[:300].rstrip('.')}"
    except (ValueError, KeyError, TypeError):
        return ""
