"""One row per feature, joined from a store's tables and the catalog's labels: what the Explorer filters and shows."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from catalog.labels import Label
from dashboard.density import DENSE
from dashboard.weights import expected_tables
from loaders.errors import TableMissing
from loaders.schema import HISTOGRAM_BINS
from loaders.store import Store
from loaders.tables import read_parquet_table

TOKENS_SHOWN = 4


@lru_cache(maxsize=8)
def features_frame(store: Store) -> pd.DataFrame:
    """One row per feature, what the store alone knows; a store that grows a table is another object, so read anew.

    feature_id, density (percent of samples), max, mean, n, median (q50 / max), tokens (list), counts (list or None),
    flag ("dead", "dense" or ""), x, y (NaN without a map).
    """
    stats = store.stats()
    n, top = stats["n"].to_numpy(), stats["max"].to_numpy(dtype=np.float64)
    density = stats["density"].to_numpy()
    return pd.DataFrame(
        {
            "feature_id": stats["feature_id"].astype(np.int64),
            "density": 100 * density,
            "max": top,
            "mean": stats["mean"],
            "n": n,
            "median": np.divide(stats["q50"], top, out=np.full(len(top), np.nan), where=top > 0),
            "tokens": _tokens(store),
            "counts": _counts(store),
            "flag": np.where(n == 0, "dead", np.where(density >= DENSE, "dense", "")),
            **_places(store),
        }
    )


def with_labels(frame: pd.DataFrame, labels: Mapping[int, Label]) -> pd.DataFrame:
    """Add label, notes and status ("labelled" or "unlabelled"); `labels` by feature id."""
    rows = [labels.get(int(feature_id)) for feature_id in frame["feature_id"]]
    return frame.assign(
        label=[row.name if row else "" for row in rows],
        notes=[row.notes if row else "" for row in rows],
        status=["labelled" if row else "unlabelled" for row in rows],
    )


def missing_tables(store: Store) -> list[str]:
    """Tables of the Explorer that are not there yet, in words for the page."""
    words = {"tokens": "top tokens", "histograms": "distributions", "map": "the map"}
    expected = expected_tables(store)
    return [word for table, word in words.items() if table in expected and not store.has(table)]


def _tokens(store: Store) -> list[list[str]]:
    try:
        return store.top_token_names(TOKENS_SHOWN)
    except TableMissing:
        return [[] for _ in range(store.features)]


def _counts(store: Store) -> list[list[int] | None]:
    try:
        table = read_parquet_table(store.directory, "histograms")
    except TableMissing:
        return [None] * store.features
    flat = table["counts"].combine_chunks().flatten().to_numpy()
    return list(flat.reshape(-1, HISTOGRAM_BINS).tolist())


def _places(store: Store) -> dict[str, np.ndarray]:
    try:
        table = read_parquet_table(store.directory, "map")
    except TableMissing:
        return {axis: np.full(store.features, np.nan) for axis in ("x", "y")}
    return {axis: table[axis].to_numpy().astype(np.float64) for axis in ("x", "y")}
