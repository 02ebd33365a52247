"""Table `neighbours`: the nearest features by decoder direction and by co-activation, exact over all features."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from analysis.coactivation import Moments, binary, cosines, cross_products, moments, overlap, pearson
from analysis.ranking import top_per_row
from loaders.errors import BadInput
from loaders.schema import NEIGHBOURS
from loaders.workspace import Workspace
from precompute.parallel import Distributed, in_order
from precompute.progress import Progress
from precompute.sample_blocks import SampleBlocks
from precompute.tables.writer import kept_table, write_grouped
from precompute.weights import has_weights

BLOCK_CELLS = 1 << 23  # feature pairs held at once: about 64 MiB for each of a handful of float64 arrays
THREADS = 2  # of a task's sparse products, whose sums do not depend on it


@dataclass(frozen=True)
class Config(Distributed):
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    top: int = 15
    """Neighbours by each of the two measures; a feature has the union, so between `top` and twice as many."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table (definitions: `analysis.coactivation`) and return its path; kept when it is there.

    A dead feature has no neighbours and is nobody's neighbour. Without the SAE's weights the cosine is null and only the
    Pearson correlation chooses. Raises BadInput when SAE and store differ in size.
    """
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "neighbours", config):
        return path
    batches = SampleBlocks.open(store_dir)
    record = workspace.sae(config.store.partition("@")[0])
    features = batches.features
    if has_weights(record) and (found := len(record.decoder())) != features:
        raise BadInput(f"Store '{config.store}' has {features} features, its SAE {found}. Harvest it again.")
    with progress.step(f"neighbours {config.store}", features, "features") as bar:
        of_all = moments(_rows(batches), features)
        size = max(BLOCK_CELLS // features, 1)
        blocks = [slice(first, min(first + size, features)) for first in range(0, features, size)]
        tasks = [(str(workspace.root), config.store, block, of_all, config.top) for block in blocks]
        tables = [NEIGHBOURS.empty_table()]
        for block, table in zip(blocks, in_order(_nearest, tasks, config.jobs, config.backend), strict=True):
            tables.append(table)
            bar.advance(block.stop - block.start)
        return write_grouped(store_dir, "neighbours", pa.concat_tables(tables), features, config)


def _nearest(root: str, store: str, here: slice, of_all: Moments, top: int) -> pa.Table:
    """Rows of the features `here`."""
    workspace = Workspace(root)
    batches = SampleBlocks.open(workspace.store_dir(store))
    record = workspace.sae(store.partition("@")[0])
    shape = (batches.features, batches.features)
    products = cross_products(((x, x) for x in _rows(batches)), here, shape, THREADS)
    both = cross_products(((x, x) for x in map(binary, _rows(batches))), here, shape, THREADS)
    correlation = pearson(products, of_all, of_all, here)
    nearest = None
    if has_weights(record):
        decoder = record.decoder()
        nearest = cosines(decoder[here], decoder)
    return _neighbours(here.start, nearest, correlation, np.rint(both).astype(np.int64), of_all, top)


def _rows(batches: SampleBlocks) -> Iterator[sp.csr_array]:
    return (rows for _, rows in batches.blocks())


def _neighbours(
    first: int,
    cosine: npt.NDArray[np.float32] | None,
    correlation: npt.NDArray[np.float32],
    both: npt.NDArray[np.int64],
    of_all: Moments,
    top: int,
) -> pa.Table:
    """Rows of the features first..: all arrays are [features of the block, all features]; without weights no `cosine`."""
    size, features = correlation.shape
    excluded = np.tile(~of_all.alive, (size, 1))
    excluded[np.arange(size), first + np.arange(size)] = True
    k = min(top, max(int(of_all.alive.sum()) - 1, 0))
    living = np.flatnonzero(of_all.alive[first : first + size])
    by = [measure for measure in (cosine, correlation) if measure is not None]
    chosen = np.hstack(
        [top_per_row(np.where(excluded[living], -np.inf, measure[living]), k) for measure in by]
    )  # (living features of the block, k for each measure)
    pairs = np.unique(living[:, None] * features + chosen)
    row, neighbour = pairs // features, pairs % features
    order = np.lexsort((neighbour, -correlation[row, neighbour], row))
    row, neighbour = row[order], neighbour[order]
    together = both[row, neighbour]
    measures = overlap(together, of_all.n[first + row], of_all.n[neighbour], of_all.samples)
    columns = {
        "feature_id": first + row,
        "neighbour": neighbour,
        "cosine": pa.nulls(len(row), pa.float32()) if cosine is None else cosine[row, neighbour],
        "pearson": correlation[row, neighbour],
        "both": together,
        **measures._asdict(),
    }
    return pa.table(columns).cast(NEIGHBOURS)
