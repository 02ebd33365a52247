"""Table `breakdowns`: firing counts and sums of every feature by category of every metadata column."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.breakdowns import CategorySums, sum_by_category
from loaders.dataset import Dataset
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.tables.dataset import dataset_of
from precompute.tables.writer import kept_table, write_grouped


@dataclass(frozen=True)
class Config:
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
    features = FeatureBlocks.open(store_dir)
    columns = [_column(dataset, name) for name in dataset.category_columns()]
    shape = (features.features, sum(len(column.categories) for column in columns))
    sums = CategorySums(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))
    with progress.step(f"breakdowns {config.store}", features.features, "features") as bar:
        for block in features.blocks():
            begin = 0
            for column in columns:
                end = begin + len(column.categories)
                found = sum_by_category(block.indptr, column.codes[block.indices], block.data, end - begin)
                for whole, part in zip(sums, found, strict=True):
                    whole[block.first : block.last, begin:end] = part
                begin = end
            bar.advance(block.last - block.first)
        return write_grouped(store_dir, "breakdowns", _table(columns, sums), features.features, config)


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
