"""A store of a small causal model with labels, its bundle, and rows of a bundle to read and to damage."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from catalog.catalog import Catalog
from catalog.labels import put_label
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.feature_export import labels_in
from precompute import build
from precompute.neuronpedia.config import Config
from precompute.neuronpedia.export import export
from precompute.progress import Progress

WORDS = ("the cat", "the mat", "cats sat", "sat on", "a cat", "the cats", "on the mat", "that hat")
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


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, causal: Path) -> Shop:
    """64 features of a random GPT-2 that read 1,500 short texts; three of them are labelled."""
    root = tmp_path_factory.mktemp("neuronpedia") / "workspace"
    root.mkdir()
    lines = (f"{WORDS[i % 8]} {WORDS[i // 8 % 8]} {WORDS[i // 64 % 8]} {'.' * (i % 3)}" for i in range(1500))
    texts = root / "texts.txt"
    texts.write_text("\n\n".join(lines))
    config = build.Config(
        model=str(causal),
        hooks=("transformer.h.1",),
        source=str(texts),
        set_id="small",
        context_length=16,
        tokens=9_000,
        k=4,
        expansion=4,
        steps=(60,),
        batch=256,
    )
    workspace = Workspace(root)
    build.run(config, workspace, Progress())
    store = workspace.open_store("small-l1@texts")
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
