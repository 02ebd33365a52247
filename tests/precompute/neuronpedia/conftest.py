"""A store of a small causal model with labels, its bundle, and rows of a bundle to read and to damage."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from catalog.catalog import Catalog
from catalog.labels import put_label
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.feature_export import labels_in
from precompute import capture, dataset, harvest, import_sae, publish, transpose
from precompute.neuronpedia.config import Config
from precompute.neuronpedia.export import export
from precompute.progress import Progress
from precompute.tables import influences, neighbours, stats

WORDS = ("the cat", "the mat", "cats sat", "sat on", "a cat", "the cats", "on the mat", "that hat")
STORE = "small-l1@texts"
LABELS = {3: ("cats", "plural, mostly", "Ada"), 7: ("mats", "", "Grace"), 11: ("sitting", "on things", "Ada")}


class Shop(NamedTuple):
    """A workspace with one store."""

    workspace: Workspace
    store: Store


def write_bundle(shop: Shop, target: Path, **options: Any) -> Path:
    """Export with the catalog's labels; returns the source's folder."""
    labels = labels_in(shop.workspace, shop.store)
    report = export(shop.workspace, shop.store, labels, target, Config(**options), Progress())
    return Path(report["bundle"])


def read_rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line) for line in text.splitlines()]


def change_rows(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Let `change` work on the rows of a file, then write them as any tool would."""
    rows = read_rows(path)
    change(rows)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def as_foreign(bundle: Path) -> None:
    """Take away what Loupe noted of its export: the bundle as another tool would have written it."""
    (bundle / "loupe.json").unlink()


def write_saelens(folder: Path, features: int, width: int) -> Path:
    """A top-k SAE whose directions are drawn, not trained, so that it stays the same whatever training becomes."""
    decoder = np.random.default_rng(0).normal(size=(features, width)).astype(np.float32)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    shape = {"d_in": width, "d_sae": features, "k": 4, "dtype": "float32", "architecture": "topk"}
    plain = {"apply_b_dec_to_input": True, "normalize_activations": "none", "reshape_activations": "none"}
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps({**shape, **plain, "rescale_acts_by_decoder_norm": False}))
    biases = {"b_enc": np.zeros(features, np.float32), "b_dec": np.zeros(width, np.float32)}
    tensors = {"W_enc": np.ascontiguousarray(decoder.T), "W_dec": decoder, **biases}
    save_file(tensors, folder / "sae_weights.safetensors")
    return folder


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, causal: Path) -> Shop:
    """64 features of a random GPT-2 that read 1,500 short texts; three of them are labelled."""
    root = tmp_path_factory.mktemp("neuronpedia")
    lines = (f"{WORDS[i % 8]} {WORDS[i // 8 % 8]} {WORDS[i // 64 % 8]} {'.' * (i % 3)}" for i in range(1500))
    (root / "texts.txt").write_text("\n\n".join(lines))
    workspace, bar, model = Workspace(root / "workspace"), Progress(), str(causal)
    read = dataset.Config(id="texts", source=str(root / "texts.txt"), model=model, tokens=9_000, context_length=16)
    dataset.run(read, workspace, bar)
    capture.run(capture.Config(model=model, dataset="texts", hooks=("transformer.h.1",)), workspace, bar)
    checkpoint = str(write_saelens(root / "sae", 64, 16))
    named = {"model_id": causal.name, "hook": "transformer.h.1", "set_id": "small", "layer_index": 0}
    import_sae.import_sae(import_sae.Config(checkpoint, "small-l1", **named), workspace)
    harvest.run(harvest.Config(sae_id="small-l1", dataset_id="texts"), workspace, bar)
    transpose.run(transpose.Config(store=STORE), workspace, bar)
    stats.run(stats.Config(store=STORE), workspace, bar)
    influences.run(influences.Config(store=STORE, model=model), workspace, bar)
    neighbours.run(neighbours.Config(store=STORE), workspace, bar)
    publish.run(publish.Config(store=STORE), workspace, bar)
    store = workspace.open_store(STORE)
    catalog = Catalog(workspace.catalog_url)
    for feature, (name, notes, author) in LABELS.items():
        put_label(catalog, store.sae_id, store.sae_fingerprint, feature, name, notes, author, None)
    catalog.close()
    return Shop(workspace, store)


@pytest.fixture(scope="session")
def written(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole store as a bundle; not to be changed."""
    return write_bundle(shop, tmp_path_factory.mktemp("exports"))


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to damage."""
    return Path(shutil.copytree(written, tmp_path / "tiny-causal" / written.name))


@pytest.fixture
def fresh(shop: Shop, tmp_path: Path) -> Workspace:
    """The same SAE and store in a workspace without a catalog."""
    for part in ("datasets", "saes", "stores"):
        shutil.copytree(shop.workspace.root / part, tmp_path / "fresh" / part)
    return Workspace(tmp_path / "fresh")
