"""Table `histograms`: the Explorer's sparkline of every feature, equal bins over [0, maximum]."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.distributions import histograms, owners
from loaders.schema import HISTOGRAM_BINS
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
    """Write the table (non-zero values only; a dead feature has zero counts) and return its path; kept when it is there."""
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "histograms", config):
        return path
    features = FeatureBlocks.open(store_dir)
    maxima, counts = np.zeros(features.features, np.float32), np.zeros((features.features, HISTOGRAM_BINS), np.int32)
    with progress.step(f"histograms {config.store}", features.features, "features") as bar:
        for here, found in by_block(_count, workspace, config.store, config, bar):
            maxima[here], counts[here] = found
        bins = pa.FixedSizeListArray.from_arrays(pa.array(counts.reshape(-1)), HISTOGRAM_BINS)
        columns = {"feature_id": np.arange(features.features), "max": maxima, "counts": bins}
        return write_parquet(store_dir, "histograms", pa.table(columns), config)


def _count(place: Place) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Maximum [features of the block] and counts [features of the block, bins]."""
    block = place.read()
    maxima = np.zeros(block.last - block.first, np.float32)
    np.maximum.at(maxima, owners(block.indptr), block.data)
    return maxima, histograms(block.indptr, block.data, maxima, HISTOGRAM_BINS)
