"""Table `tokens`: the strongest tokens of every feature by tf-idf."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.token_statistics import TokenRows, rank_tokens
from loaders.schema import TOKENS
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.progress import Progress
from precompute.tables.dataset import dataset_of
from precompute.tables.idf import count_vocabulary
from precompute.tables.writer import kept_table, write_grouped


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""
    top: int = 20
    """Tokens kept per feature; the Feature page computes longer lists live."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write the table (definitions: `analysis.token_statistics.rank_tokens`) and return its path; kept when it is there."""
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "tokens", config):
        return path
    dataset = dataset_of(config.store, workspace)
    features = FeatureBlocks.open(store_dir)
    tokens = dataset.tokens[dataset.samples]
    vocabulary = count_vocabulary(dataset, tokens)
    parts: list[TokenRows] = []
    with progress.step(f"tokens {config.store}", features.features, "features") as bar:
        for block in features.blocks():
            rows = rank_tokens(
                block.indptr, tokens[block.indices], block.data, vocabulary, features.samples, config.top
            )
            parts.append(rows._replace(feature=rows.feature + block.first))
            bar.advance(block.last - block.first)
        found = TokenRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        table = pa.table(list(found), names=TOKENS.names)
        return write_grouped(store_dir, "tokens", table, features.features, config)
