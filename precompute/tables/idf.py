"""Table `idf`: how often each token occurs, in how many contexts, and its inverse document frequency."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.token_statistics import Vocabulary, document_frequencies, inverse_document_frequency
from loaders.dataset import Dataset
from loaders.workspace import Workspace
from precompute.progress import Progress
from precompute.tables.dataset import dataset_of
from precompute.tables.writer import kept_table, write_parquet


@dataclass(frozen=True)
class Config:
    store: str
    """Id of the store, `<sae>@<dataset>`."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Write one row per token that occurs; special tokens are no samples and do not count. Kept when it is there."""
    store_dir = workspace.store_dir(config.store)
    if path := kept_table(store_dir, "idf", config):
        return path
    dataset = dataset_of(config.store, workspace)
    with progress.step(f"idf {config.store}", dataset.contexts, "contexts") as bar:
        vocabulary = count_vocabulary(dataset, dataset.tokens[dataset.samples])
        bar.advance(dataset.contexts)
        ids = np.flatnonzero(vocabulary.occurrences)
        columns = {
            "token_id": ids,
            "count": vocabulary.occurrences[ids],
            "df": vocabulary.df[ids],
            "idf": vocabulary.idf[ids],
        }
        return write_parquet(store_dir, "idf", pa.table(columns), config)


def count_vocabulary(dataset: Dataset, tokens: np.ndarray) -> Vocabulary:
    """Counts, document frequencies and idf of every token id up to the largest that occurs in `tokens` [samples]."""
    size = int(tokens.max()) + 1 if len(tokens) else 0
    count, df = document_frequencies(tokens, np.asarray(dataset.sample_offsets), size)
    return Vocabulary(count, df, inverse_document_frequency(df, dataset.contexts))
