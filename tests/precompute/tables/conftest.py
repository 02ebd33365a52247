"""Small stores of random activations over a random dataset, and a way to run one table on them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from safetensors.numpy import save_file

from loaders.schema import GROUPED_TABLES
from loaders.tables import GroupedTable, read_parquet_table
from loaders.workspace import Workspace
from precompute import transpose
from precompute.contexts import context_from_pieces
from precompute.dataset_writer import write_dataset
from precompute.progress import Progress
from precompute.sample_blocks import write_batch

STORE = "sae@words"
CONTEXTS = 150
VOCABULARY = ["[", "]", *"abcdefgh"]


class Tiny(NamedTuple):
    """A store with its truth: `dense` [samples, features], `tokens` [samples], `contexts` [samples], `decoder` [features, 6]."""

    workspace: Workspace
    dense: np.ndarray
    tokens: np.ndarray
    contexts: np.ndarray
    decoder: np.ndarray

    @property
    def directory(self) -> Path:
        return self.workspace.store_dir(STORE)

    def compute(self, module: ModuleType, **options: object) -> pa.Table:
        """Run a table's step and read its rows."""
        name = module.__name__.rpartition(".")[2]
        module.run(module.Config(STORE, **options), self.workspace, Progress())
        if name not in GROUPED_TABLES:
            return read_parquet_table(self.directory, name)
        table = GroupedTable(self.directory, name)
        rows = table.read_all()
        for feature in range(table.features):  # the offsets address exactly the feature's rows
            assert set(table.rows(feature)["feature_id"].to_pylist()) <= {feature}
        assert sum(table.rows(feature).num_rows for feature in range(table.features)) == rows.num_rows
        return rows


def make_tiny(root: Path, seed: int, features: int = 12, contexts: int = CONTEXTS, batch_rows: int = 137) -> Tiny:
    """Write dataset, SAE and store; features 3 and 7 are dead, some samples are silent, feature 5 copies feature 4."""
    generator = np.random.default_rng(seed)
    workspace = Workspace(root)
    lengths = generator.integers(1, 9, contexts)
    tokens = [generator.integers(2, len(VOCABULARY), length) for length in lengths]
    written = [
        context_from_pieces(
            [0, *row.tolist(), 1],
            ["", *(VOCABULARY[token] for token in row), ""],
            {"kind": "xyz"[number % 3], "name": f"context {number}", "constant": "same"},
            str(number),
            frozenset({0, 1}),
        )
        for number, row in enumerate(tokens)
    ]
    tokenizer = {"name": "letters", "fingerprint": "t" * 64}
    columns = ["kind", "name", "constant"]
    write_dataset(workspace, "words", written, columns, VOCABULARY, tokenizer, "", False)
    samples = int(lengths.sum())
    dense = generator.integers(1, 40, (samples, features)).astype(np.float32) / 8
    dense *= generator.random((samples, features)) < generator.uniform(0.05, 0.6, features)
    dense[:, [3, 7]] = 0
    dense[:, 5] = 2 * dense[:, 4]
    dense[generator.random(samples) < 0.1] = 0
    decoder = generator.normal(size=(features, 6)).astype(np.float32)
    write_store(workspace, dense, decoder, batch_rows)
    return Tiny(workspace, dense, np.concatenate(tokens), np.repeat(np.arange(contexts), lengths), decoder)


def write_store(workspace: Workspace, dense: np.ndarray, decoder: np.ndarray, batch_rows: int) -> None:
    directory, sae = workspace.store_dir(STORE), workspace.sae_dir("sae")
    sae.mkdir(parents=True)
    save_file({"W_dec": decoder}, sae / "sae_weights.safetensors")
    (sae / "cfg.json").write_text("{}")
    (directory / "activations").mkdir(parents=True)
    for number, first in enumerate(range(0, len(dense), batch_rows)):
        path = directory / "activations" / f"batch_{number:04d}.zarr"
        write_batch(path, sp.csr_array(dense[first : first + batch_rows]), {})
    (directory / "harvest.json").write_text(json.dumps({"samples": len(dense)}))
    transpose.run(transpose.Config(STORE), workspace, Progress())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """One store for all tests of a table."""
    return make_tiny(tmp_path_factory.mktemp("tiny"), seed=0)


@pytest.fixture(scope="session")
def new_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tiny]:
    """Make another store: `new_tiny(seed, ...)`."""
    return lambda seed, **options: make_tiny(tmp_path_factory.mktemp("tiny"), seed, **options)
