"""Table `stats`: count, density, sum, mean, deviation, range and quartiles of every feature."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.distributions import Statistics, describe
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.parallel import Distributed
from precompute.progress import Progress
from precompute.tables.tasks import Place, by_block
from precompute.tables.writer import kept_table, write_parquet


@dataclass(frozen=True)
class Config(Distributed):
    store: str
    """Id of the store, `<sae>@<dataset>`."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table (definitions: `analysis.distributions.describe`) and return its path; kept when it is there."""
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "stats", config):
        return path
    features = FeatureBlocks.open(store_dir)
    with progress.step(f"stats {config.store}", features.features, "features") as bar:
        parts = [part for _, part in by_block(_describe, workspace, config.store, config, bar)]
        found = Statistics(*(np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)))
        columns = {
            "feature_id": np.arange(features.features),
            "n": found.n,
            "density": found.n / max(features.samples, 1),
            **{name: getattr(found, name) for name in ("sum", "mean", "std", "min", "max")},
            **dict(zip(("q25", "q50", "q75"), found.quartiles, strict=True)),
        }
        return write_parquet(store_dir, "stats", pa.table(columns), config)


def _describe(place: Place) -> Statistics:
    block = place.read()
    return describe(block.indptr, block.data)
