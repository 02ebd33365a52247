"""Every page shows a store of converted activations, without weights; in a process of its own, as apps do not mix."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loaders.workspace import Workspace
from precompute import convert, layers, publish, transpose
from precompute.progress import Progress
from precompute.tables import breakdowns, histograms, idf, neighbours, stats, tokens

ROOT = Path(__file__).parent.parent.parent
STEPS = (transpose, stats, histograms, idf, tokens, breakdowns, neighbours, publish)
ASK = """
import json, sys
import dash
from app import create_server
from plotly.utils import PlotlyJSONEncoder
server = create_server(sys.argv[1])
client = server.test_client()
for path in ("/", "/training", "/layers/pair", "/explorer/one@words", "/feature/one@words/3", "/feature/one@words/8"):
    assert client.get(path).status_code == 200, path
layouts = {page["module"].split(".")[-1]: page["layout"] for page in dash.page_registry.values()}
with server.test_request_context("/"):
    shown = {
        "home": layouts["home"](), "explorer": layouts["explorer"](store="one@words"), "training": layouts["training"](),
        "feature": layouts["feature"](store="one@words", feature="3"), "layers": layouts["layers"](set_id="pair"),
    }
    texts = {name: json.dumps(tree, cls=PlotlyJSONEncoder) for name, tree in shown.items()}
texts["api"] = client.get("/api/v1/stores/one@words/features/3").text
print(json.dumps(texts))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The text of every page over two converted SAEs of one set, by page."""
    root = tmp_path_factory.mktemp("foreign")
    generator, rows = np.random.default_rng(0), np.arange(60)
    columns = {
        "context": rows // 5,
        "token": [f"t{row % 11}" for row in rows],
        "kind": [f"k{row // 20}" for row in rows],
    }
    pd.DataFrame(columns).to_parquet(root / "frame.parquet")
    dense = np.where(generator.random((60, 9)) < 0.4, generator.uniform(0.5, 2, (60, 9)), 0)
    dense[:, 8] = 0  # a dead feature
    workspace = Workspace(root / "workspace")
    for index, sae in enumerate(("one", "two")):
        np.save(root / f"{sae}.npy", dense + index * (dense > 0))
        known = {"metadata": str(root / "frame.parquet"), "model": "gpt2", "hook": f"h.{index}", "set_id": "pair"}
        config = convert.Config((str(root / f"{sae}.npy"),), sae, "words", layer_index=index, **known)
        convert.run(config, workspace, Progress())
        for step in STEPS:
            step.run(step.Config(f"{sae}@words"), workspace, Progress())
    layers.run(layers.Config("pair"), workspace, Progress())
    command = [sys.executable, "-c", ASK, str(workspace.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-800:]
    return json.loads(done.stdout.splitlines()[-1])


def test_home_calls_a_store_ready_that_has_every_table_it_can_have(shown):
    assert '"children": "ready"' in shown["home"] and "tables ready" not in shown["home"]


def test_pages_say_that_weights_are_missing_and_promise_nothing(shown):
    for page in ("explorer", "feature"):
        assert "weights are not in this workspace" in shown[page]
        assert "still being computed" not in shown[page]


def test_a_missing_cosine_is_a_dash_on_the_page_and_null_in_the_interface(shown):
    assert '[null, "\\u2013"]' in shown["feature"] and '"nan"' not in shown["feature"]
    assert all(row["cosine"] is None for row in json.loads(shown["api"])["neighbours"])


def test_converted_layers_are_matched_and_both_runs_listed(shown):
    assert '"one \\u2192 two"' in shown["layers"] and '"8 \\u2192 8"' in shown["layers"]  # all living features persist
    assert '"one"' in shown["training"] and '"two"' in shown["training"]
