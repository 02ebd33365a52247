"""A store of converted activations has every table that needs no weights, and says why it has no others."""

import json

import numpy as np
import pandas as pd
import pytest

from loaders.errors import BadInput, StoreDamaged
from loaders.workspace import Workspace
from precompute import convert, publish, transpose
from precompute.progress import Progress
from precompute.tables import breakdowns, histograms, idf, influences, neighbours, stats, tokens
from precompute.tables import map as feature_map

STORE = "foreign@words"


@pytest.fixture
def foreign_store(tmp_path):
    """A published store of activations alone, with every table that needs no weights."""
    generator = np.random.default_rng(0)
    dense = np.where(generator.random((60, 9)) < 0.4, generator.uniform(0.5, 2, (60, 9)), 0)
    dense[:, 8] = 0  # a dead feature
    np.save(tmp_path / "acts.npy", dense)
    rows = np.arange(60)
    columns = {
        "context": rows // 5,
        "token": [f"t{row % 11}" for row in rows],
        "kind": [f"k{row // 20}" for row in rows],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "frame.parquet")
    source, workspace = (str(tmp_path / "acts.npy"),), Workspace(tmp_path / "workspace")
    config = convert.Config(source, "foreign", "words", metadata=str(tmp_path / "frame.parquet"))
    convert.run(config, workspace, Progress())
    for step in (transpose, stats, histograms, idf, tokens, breakdowns, neighbours, publish):
        step.run(step.Config(STORE), workspace, Progress())
    return workspace.open_store(STORE), dense


def test_every_table_that_needs_no_weights_is_made(foreign_store):
    store, dense = foreign_store
    assert store.manifest["has_weights"] is False
    found = store.neighbours(0)
    assert found["cosine"].isna().all() and len(found) == 7
    correlations = np.corrcoef(dense[:, :8].T)[0]
    assert np.allclose(found["pearson"], correlations[found["neighbour"]], atol=1e-6)
    fires = dense[:, 0] > 0
    assert store.top_tokens(0, n=50)["n"].sum() == fires.sum()
    assert store.breakdown(0, "kind")["n"].sum() == fires.sum()


def test_the_tables_that_need_weights_say_that_they_are_not_there(foreign_store):
    store, _ = foreign_store
    workspace = Workspace(store.directory.parents[1])
    for step, config in (
        (feature_map, feature_map.Config(STORE)),
        (influences, influences.Config(STORE, model="gpt2")),
    ):
        with pytest.raises(BadInput, match="weights of SAE 'foreign', which are not in this workspace"):
            step.run(config, workspace, Progress())


def test_an_sae_whose_weights_were_lost_is_damaged_and_not_taken_for_one_without(foreign_store):
    store, _ = foreign_store
    workspace = Workspace(store.directory.parents[1])
    path = workspace.sae_dir("foreign") / "cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architecture": "topk"}))
    for file in (store.directory / "tables").glob("neighbours*"):
        file.unlink()
    with pytest.raises(StoreDamaged, match=r"weights at .* cannot be read"):
        neighbours.run(neighbours.Config(STORE), workspace, Progress())
