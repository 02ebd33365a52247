"""One row per feature of a store, with its top tokens and labels, as a CSV, Parquet or JSONL file."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from catalog.labels import labels_of
from loaders.errors import BadInput
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.catalogs import open_catalog

TOKENS = 10


def feature_frame(
    store: Store, labels: dict[int, Any] | None, sort: str = "feature_id", limit: int | None = None
) -> pd.DataFrame:
    """The columns of schema.STATS, `is_dead`, `top_tokens` (lists, best by tf-idf first), and with `labels` also
    `label`, `notes`, `label_author` and `label_version` (None where there is none).

    Sorted by any column of numbers, largest first; by `feature_id` ascending. Raises BadInput and TableMissing.
    """
    frame = store.stats()
    if sort not in frame.columns:
        raise BadInput(f"Column '{sort}' is unknown. Sort by {', '.join(frame.columns)}.")
    if limit is not None and limit < 1:
        raise BadInput(f"A limit of {limit} features was given. Give at least 1.")
    frame["is_dead"] = frame["n"] == 0
    frame["top_tokens"] = store.top_token_names(TOKENS)
    if labels is not None:
        found = [labels.get(feature_id) for feature_id in frame["feature_id"].tolist()]
        frame["label"] = pd.Series([label and label.name for label in found], dtype=object)
        frame["notes"] = pd.Series([label and label.notes for label in found], dtype=object)
        frame["label_author"] = pd.Series([label and label.author for label in found], dtype=object)
        frame["label_version"] = pd.array([label and label.version for label in found], dtype="Int64")
    ordered = frame.sort_values(sort, ascending=sort == "feature_id", kind="stable")
    return ordered.head(limit) if limit is not None else ordered


def labels_in(workspace: Workspace, store: Store) -> dict[int, Any]:
    """The labels of the store's SAE; none where the workspace has no catalog yet, which is not made for this."""
    with open_catalog(workspace) as catalog:
        return dict(labels_of(catalog, store.sae_fingerprint)) if catalog else {}


def check_target(target: Path, force: bool) -> None:
    """Raise BadInput for an unknown extension, a directory that is not there, or a file that is there already."""
    if target.suffix.lower() not in WRITERS:
        raise BadInput(f"'{target.name}' has no known extension. Name a file that ends in {', '.join(WRITERS)}.")
    if not target.parent.is_dir():
        raise BadInput(f"There is no directory '{target.parent}' to write '{target.name}' to.")
    if target.is_dir():
        raise BadInput(f"'{target}' is a directory. Name a file.")
    if target.exists() and not force:
        raise BadInput(f"'{target}' exists already. Choose another name, or add --force to replace it.")


def write_frame(frame: pd.DataFrame, target: Path) -> None:
    """Write the rows under a temporary name, then rename. In CSV, lists are JSON."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        WRITERS[target.suffix.lower()](frame, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    tokens = [json.dumps(each, ensure_ascii=False) for each in frame["top_tokens"]]
    frame.assign(top_tokens=tokens).to_csv(path, index=False, encoding="utf-8")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.reset_index(drop=True).to_parquet(path, index=False)


def _write_jsonl(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", lines=True, force_ascii=False, double_precision=15)


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
}
