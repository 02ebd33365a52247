"""A finished SAE on disk in the SAELens layout, read without torch."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from loaders.errors import BadInput, StoreDamaged, StoreNotFound

STAGES = "input_stages"  # of the metadata: what rows go through before the SAE (`precompute.row_stages`)


class SaeRecord:
    """`cfg` is SAELens's cfg.json; `metadata` its `metadata` object, where Loupe keeps fingerprints and quality."""

    def __init__(self, directory: Path, cfg: dict[str, Any]) -> None:
        self.directory, self.cfg = directory, cfg
        self.id = directory.name
        self.metadata: dict[str, Any] = cfg.get("metadata") or {}

    @classmethod
    def open(cls, directory: Path) -> "SaeRecord":
        """Raises StoreNotFound without a cfg.json, StoreDamaged when it cannot be read."""
        path = directory / "cfg.json"
        if not path.exists():
            raise StoreNotFound(f"There is no finished SAE at '{directory}': it has no cfg.json. Run `loupe train`.")
        try:
            cfg = json.loads(path.read_text())
        except (ValueError, RecursionError) as error:
            raise StoreDamaged(f"'{path}' is not valid JSON ({error}). Train the SAE again.") from error
        if not isinstance(cfg, dict) or not isinstance(cfg.get("metadata") or {}, dict):
            raise StoreDamaged(f"'{path}' holds no settings of an SAE. Train the SAE again.")
        return cls(directory, cfg)

    @property
    def metrics_path(self) -> Path:
        return self.directory / "metrics.jsonl"

    @property
    def weights_path(self) -> Path:
        return self.directory / "sae_weights.safetensors"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name; reads no values."""
        try:
            with safe_open(self.weights_path, framework="numpy") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
        except (OSError, SafetensorError) as error:
            raise self._damaged(error) from error

    def tensor(self, name: str) -> np.ndarray:
        """One tensor by name (W_enc [width, features], W_dec [features, width], b_enc, b_dec, threshold, ...), as it is
        kept; only that one is read. Raises BadInput, which lists the names, for one that is not there."""
        if name not in (there := self.shapes()):
            raise BadInput(f"SAE '{self.id}' has no tensor '{name[:80]}'. It has {', '.join(there)}.")
        try:
            with safe_open(self.weights_path, framework="numpy") as file:
                found: np.ndarray = file.get_tensor(name)
                return found
        except (OSError, SafetensorError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StoreDamaged:
        return StoreDamaged(f"The weights at '{self.weights_path}' cannot be read ({error}). Train the SAE again.")

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """All tensors of sae_weights.safetensors by name."""
        try:
            with safe_open(self.weights_path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError) as error:
            raise self._damaged(error) from error

    def decoder(self) -> np.ndarray:
        """Decoder rows, float32 [features, width]."""
        return self.tensors["W_dec"].astype(np.float32, copy=False)

    def fingerprint(self) -> str:
        """What `metadata.fingerprints.sae` must say of the tensors and settings as they lie here; reads all of them."""
        return sae_fingerprint(self.tensors, self.cfg)


def sae_fingerprint(tensors: Mapping[str, np.ndarray], cfg: Mapping[str, Any]) -> str:
    """sha256 over the tensors (name, dtype, shape, bytes; sorted by name) and what in `cfg` changes what they compute: its
    settings, and the stages of the metadata, so that the same weights read in two ways are two SAEs."""
    settings = {key: value for key, value in cfg.items() if key not in ("device", "metadata")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    stages = (cfg.get("metadata") or {}).get(STAGES)
    if not stages:
        return digest.hexdigest()
    return hashlib.sha256(f"{digest.hexdigest()} {json.dumps(stages, sort_keys=True)}".encode()).hexdigest()
