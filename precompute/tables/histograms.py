"""Table `histograms`: the Explorer's sparkline of every feature, equal bins over [0, maximum]."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.distributions import histograms, owners
from loaders.schema import HISTOGRAM_BINS
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.tables.writer import kept_table, write_parquet


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table (non-zero values only; a dead feature has zero counts) and return its path; kept when it is there."""
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "histograms", config):
        return path
    features = FeatureBlocks.open(store_dir)
    maxima, counts = np.zeros(features.features, np.float32), np.zeros((features.features, HISTOGRAM_BINS), np.int32)
    with progress.step(f"histograms {config.store}", features.features, "features") as bar:
        for block in features.blocks():
            here = slice(block.first, block.last)
            np.maximum.at(maxima[here], owners(block.indptr), block.data)
            counts[here] = histograms(block.indptr, block.data, maxima[here], HISTOGRAM_BINS)
            bar.advance(block.last - block.first)
        bins = pa.FixedSizeListArray.from_arrays(pa.array(counts.reshape(-1)), HISTOGRAM_BINS)
        columns = {"feature_id": np.arange(features.features), "max": maxima, "counts": bins}
        return write_parquet(store_dir, "histograms", pa.table(columns), config)
