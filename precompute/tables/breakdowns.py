"""Table `breakdowns`: firing counts and sums of every feature by category of every metadata column."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.breakdowns import CategorySums, sum_by_category
from loaders.dataset import Dataset
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.parallel import Distributed
from precompute.progress import Progress
from precompute.tables.dataset import dataset_of
from precompute.tables.tasks import Place, by_block
from precompute.tables.writer import kept_table, write_grouped


@dataclass(frozen=True)
class Config(Distributed):
    store: str
    """Id of the store, `<sae>@<dataset>`."""


class Column(NamedTuple):
    """A metadata column: category code of every sample [samples], and per category its name and number of samples."""

    name: str
    codes: npt.NDArray[np.integer]
    categories: list[str]
    samples: npt.NDArray[np.int64]


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write one row per feature, column and category, and return the path; kept when it is there.

    Columns are those that the dataset calls categorical: at least 2 categories, no name of (nearly) every context,
    everything past the 63 largest categories folded into 'other'.
    """
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "breakdowns", config):
        return path
    dataset = dataset_of(config.store, workspace)
    columns = _read_columns(str(workspace.root), config.store, dataset.fingerprint)
    features = FeatureBlocks.open(store_dir).features
    shape = (features, sum(len(column.categories) for column in columns))
    sums = CategorySums(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))
    with progress.step(f"breakdowns {config.store}", features, "features") as bar:
        for here, found in by_block(_sum, workspace, config.store, config, bar, dataset.fingerprint):
            for whole, part in zip(sums, found, strict=True):
                whole[here] = part
        return write_grouped(store_dir, "breakdowns", _table(columns, sums), features, config)


def _sum(place: Place, dataset: str) -> CategorySums:
    """Sums [features of the block, categories of all columns]."""
    block, columns = place.read(), _read_columns(place.root, place.store, dataset)
    none = np.zeros((block.last - block.first, 0))
    found = [CategorySums(none.astype(np.int64), none, none)]
    for column in columns:
        found.append(sum_by_category(block.indptr, column.codes[block.indices], block.data, len(column.categories)))
    return CategorySums(*(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))


@lru_cache(maxsize=1)
def _read_columns(root: str, store: str, fingerprint: str) -> list[Column]:
    """The categorical columns; once per dataset in every worker."""
    dataset = dataset_of(store, Workspace(root))
    return [_column(dataset, name) for name in dataset.category_columns()]


def _column(dataset: Dataset, name: str) -> Column:
    codes, categories = dataset.column(name)
    of_samples = np.repeat(codes, np.diff(dataset.sample_offsets))
    return Column(name, of_samples, categories, np.bincount(of_samples, minlength=len(categories)))


def _table(columns: list[Column], sums: CategorySums) -> pa.Table:
    """Lay the sums [features, all categories] out as rows: by feature, then column, then category."""
    features = len(sums.n)
    names = [category for column in columns for category in column.categories]
    distinct = list(dict.fromkeys(names))
    place = {category: i for i, category in enumerate(distinct)}
    of_column = np.repeat(np.arange(len(columns)), [len(column.categories) for column in columns])
    of_category = np.array([place[name] for name in names], dtype=np.int32)
    samples = np.concatenate([np.empty(0, np.int64), *(column.samples for column in columns)])
    return pa.table(
        {
            "feature_id": np.repeat(np.arange(features), len(names)),
            "column": pa.DictionaryArray.from_arrays(
                np.tile(of_column, features).astype(np.int8), pa.array([column.name for column in columns], pa.string())
            ),
            "category": pa.DictionaryArray.from_arrays(
                np.tile(of_category, features).astype(np.int32), pa.array(distinct, pa.string())
            ),
            "samples": np.tile(samples, features),
            "n": sums.n.reshape(-1),
            "sum": sums.sum.reshape(-1),
            "sum_squares": sums.sum_squares.reshape(-1),
        }
    )
