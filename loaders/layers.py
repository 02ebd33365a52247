"""Cross-layer matches of a set, as the `match-layers` step wrote them."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from loaders.errors import StoreNotFound
from loaders.manifest import check_files, read_manifest
from loaders.schema import FLOWS, MATCHES


class Partner(NamedTuple):
    """A feature's best match in another layer; `is_linked` when it beats the permutation null's threshold."""

    feature_id: int
    pearson: float
    is_linked: bool


class LayerSet:
    """Members in layer order; pairs are addressed by member positions i < j."""

    def __init__(self, directory: Path, manifest: dict[str, Any]) -> None:
        self.directory, self.manifest = directory, manifest
        self.id: str = manifest["id"]
        self.members: list[str] = [member["store"] for member in manifest["members"]]
        self.has_shared_basis: bool = bool(manifest["shared_basis"])
        self._read = lru_cache(maxsize=12)(self._read_parquet)

    @classmethod
    def open(cls, directory: Path) -> "LayerSet":
        """Raises StoreNotFound while the matching has not been computed."""
        manifest = read_manifest(directory, "layers")
        check_files(directory, manifest)
        return cls(directory, manifest)

    def pair(self, i: int, j: int) -> dict[str, Any]:
        """The manifest's summary of one pair: threshold, permutations, counts of fates."""
        for pair in self.manifest["pairs"]:
            if (pair["source"], pair["target"]) == (i, j):
                return dict(pair)
        raise StoreNotFound(f"Set '{self.id}' has no pair of layers {i} and {j}; it has {len(self.members)} layers.")

    def threshold(self, i: int, j: int) -> float:
        return float(self.pair(i, j)["threshold"])

    def matches(self, i: int, j: int) -> pd.DataFrame:
        """Rows of schema.MATCHES."""
        self.pair(i, j)
        return self._read(f"matches_{i}_{j}.parquet", "matches")

    def flows(self, i: int, j: int) -> pd.DataFrame:
        """Rows of schema.FLOWS: the fate of every living feature on either side."""
        self.pair(i, j)
        return self._read(f"flows_{i}_{j}.parquet", "flows")

    def null(self, i: int, j: int) -> np.ndarray:
        """Best Pearson of each source feature under the permutation null, float32 [draws]."""
        self.pair(i, j)
        return np.load(self.directory / f"null_{i}_{j}.npy", mmap_mode="r")

    def _read_parquet(self, file: str, kind: str) -> pd.DataFrame:
        schema = MATCHES if kind == "matches" else FLOWS
        return pq.read_table(self.directory / file, schema=schema).to_pandas()

    def best_partner(self, store_from: str, feature_id: int, store_to: str) -> Partner | None:
        """The best match of a feature in another member, linked or not; None when it never fires or is unmatched."""
        if store_from not in self.members or store_to not in self.members or store_from == store_to:
            return None
        a, b = self.members.index(store_from), self.members.index(store_to)
        i, j = min(a, b), max(a, b)
        flows = self.flows(i, j)
        rows = flows[(flows["side"] == ("source" if a == i else "target")) & (flows["feature_id"] == feature_id)]
        if rows.empty or int(rows["partner"].iloc[0]) < 0:
            return None
        pearson = float(rows["pearson"].iloc[0])
        return Partner(int(rows["partner"].iloc[0]), pearson, pearson > self.threshold(i, j))
