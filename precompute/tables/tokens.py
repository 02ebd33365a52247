"""Table `tokens`: the strongest tokens of every feature by tf-idf."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analysis.token_statistics import TokenRows, rank_tokens
from loaders.schema import TOKENS
from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlocks
from precompute.parallel import Distributed
from precompute.progress import Progress
from precompute.tables.dataset import dataset_of
from precompute.tables.idf import Vocabulary, count_vocabulary
from precompute.tables.tasks import Place, by_block
from precompute.tables.writer import kept_table, write_grouped


@dataclass(frozen=True)
class Config(Distributed):
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
    features = FeatureBlocks.open(store_dir).features
    with progress.step(f"tokens {config.store}", features, "features") as bar:
        parts = [
            part for _, part in by_block(_rank, workspace, config.store, config, bar, dataset.fingerprint, config.top)
        ]
        found = TokenRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        table = pa.table(list(found), names=TOKENS.names)
        return write_grouped(store_dir, "tokens", table, features, config)


def _rank(place: Place, dataset: str, top: int) -> TokenRows:
    block, (tokens, vocabulary) = place.read(), _read_tokens(place.root, place.store, dataset)
    rows = rank_tokens(block.indptr, tokens[block.indices], block.data, vocabulary, len(tokens), top)
    return rows._replace(feature=rows.feature + block.first)


@lru_cache(maxsize=1)
def _read_tokens(root: str, store: str, fingerprint: str) -> tuple[npt.NDArray[np.uint32], Vocabulary]:
    """Token of every sample [samples], and the vocabulary's counts; once per dataset in every worker."""
    dataset = dataset_of(store, Workspace(root))
    tokens = dataset.tokens[dataset.samples]
    return tokens, count_vocabulary(dataset, tokens)
