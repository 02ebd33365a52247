"""A finished SAE on disk in the SAELens layout, read without torch."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from loaders.errors import StoreDamaged, StoreNotFound


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

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """All tensors of sae_weights.safetensors by name."""
        path = self.directory / "sae_weights.safetensors"
        try:
            with safe_open(path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError) as error:
            raise StoreDamaged(f"The weights at '{path}' cannot be read ({error}). Train the SAE again.") from error

    def decoder(self) -> np.ndarray:
        """Decoder rows, float32 [features, width]."""
        return self.tensors["W_dec"].astype(np.float32, copy=False)
