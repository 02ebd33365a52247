"""A bundle that Loupe exported, through the classes of the package `neuronpedia`, and its explanations back in as labels.

`python -m benchmarks.neuronpedia_peer --python PYTHON`, where PYTHON is that of an environment with neuronpedia. The package
speaks to a server and knows no bundle; what it would upload is compared with the store, value by value."""

import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.add_peers import WIDTH, write_model, write_texts
from benchmarks.result import write_result
from catalog.catalog import Catalog
from catalog.labels import labels_of, put_label
from loaders.store import Store
from loaders.workspace import Workspace
from loupe.feature_export import labels_in
from precompute import add
from precompute.formats import saelens
from precompute.neuronpedia.config import Config
from precompute.neuronpedia.export import export
from precompute.neuronpedia.files import Bundle
from precompute.neuronpedia.labels import plan_labels, read_offers, write_labels
from precompute.progress import Progress
from precompute.saes.sae import Sae

PEER = Path(__file__).parent / "peers" / "neuronpedia_rows.py"
FEATURES = 160  # more than the package takes in one upload
DIGITS = 1e-6  # relative: rows are written with nine digits
LABELS = {0: ("cats", "plural"), 7: ("naïve ☃, “quoted”", ""), 131: ("層", "two\nlines")}


def make_store(root: Path) -> tuple[Workspace, Store]:
    """A random SAE on a small random GPT-2, added, with a few labels."""
    texts = write_texts(root / "texts.jsonl")
    write_model(root / "model", texts)
    generator = torch.Generator().manual_seed(0)
    w_enc, w_dec = (torch.randn(FEATURES, WIDTH, generator=generator) for _ in range(2))
    biases = {"b_enc": torch.zeros(FEATURES)}
    said = {"model_name": str(root / "model"), "hook_name": "blocks.1.hook_resid_pre"}
    (root / "small").mkdir()
    saelens.write(root / "small", Sae("topk", w_enc, w_dec, torch.zeros(WIDTH), biases, 8, dict(said)))
    workspace = Workspace(root / "workspace")
    catalog = Catalog(workspace.catalog_url)
    with contextlib.redirect_stderr(io.StringIO()):
        config = add.Config(str(root / "small"), str(root / "texts.jsonl"), force=True)  # a random SAE rebuilds nothing
        [added] = add.run(config, workspace, catalog)
    store = workspace.open_store(added.store)
    for feature, (name, notes) in LABELS.items():
        put_label(catalog, store.sae_id, store.sae_fingerprint, feature, name, notes, "ada", None)
    catalog.close()
    return workspace, store


def differences(store: Store, bodies: list[dict[str, Any]]) -> list[str]:
    """What the package would upload and the store does not say."""
    uploaded = {feature["index"]: feature for body in bodies for feature in body["features"]}
    wrong = [] if sorted(uploaded) == list(range(store.features)) else [f"features {sorted(uploaded)}"]
    for index, found in sorted(uploaded.items()):
        fired = store.activations(index)
        if not np.isclose(found["density"], len(fired.activations) / store.samples, rtol=DIGITS, atol=0):
            wrong.append(f"feature {index}: density {found['density']}")
        top = max((max(each["values"]) for each in found["activations"]), default=0.0)
        if not np.isclose(top, fired.activations.max(initial=0.0), rtol=DIGITS, atol=0):
            wrong.append(f"feature {index}: the largest value is {top}")
        if any(len(each["tokens"]) != len(each["values"]) for each in found["activations"]):
            wrong.append(f"feature {index}: tokens and values differ in number")
        ordered = [one["value"] for one in found["topLogits"]]
        if not ordered or ordered != sorted(ordered, reverse=True) or not found["bottomLogits"]:
            wrong.append(f"feature {index}: logits are missing or out of order")
        texts = [one["text"] for one in found["explanations"]]
        if texts != [name for feature, (name, _) in LABELS.items() if feature == index]:
            wrong.append(f"feature {index}: explanations {texts}")
    return wrong


def labels_back(workspace: Workspace, store: Store, bundle: Path, explanations: Path, root: Path) -> dict[int, str]:
    """The labels that an empty catalog gets from a bundle whose explanations the package wrote."""
    other = root / "written" / bundle.name
    shutil.copytree(bundle, other)
    (other / "loupe.json").unlink()
    for path in (other / "explanations").iterdir():
        path.unlink()
    shutil.copy(explanations, other / "explanations" / "batch-0.jsonl.gz")
    catalog = Catalog(f"sqlite:///{root / 'empty.sqlite'}")
    plan = plan_labels(catalog, store.sae_fingerprint, read_offers(Bundle.open(other), store.features))
    write_labels(catalog, workspace.sae(store.sae_id), plan, Progress())
    found = {feature: label.name for feature, label in labels_of(catalog, store.sae_fingerprint).items()}
    catalog.close()
    return found


def compare(python: str, root: Path) -> dict[str, Any]:
    workspace, store = make_store(root)
    report = export(workspace, store, labels_in(workspace, store), root / "exports", Config(), Progress())
    bundle, upload, explanations = Path(report["bundle"]), root / "upload.json", root / "batch-0.jsonl.gz"
    subprocess.run([python, str(PEER), str(bundle), str(upload), str(explanations)], check=True)
    read = json.loads(upload.read_text())
    wrong = differences(store, read["bodies"])
    back = labels_back(workspace, store, bundle, explanations, root)
    if back != {feature: name for feature, (name, _) in LABELS.items()}:
        wrong.append(f"labels came back as {back}")
    return {
        "neuronpedia": read["version"],
        "features": sum(len(body["features"]) for body in read["bodies"]),
        "uploads": len(read["bodies"]),
        "activations": sum(len(one["activations"]) for body in read["bodies"] for one in body["features"]),
        "explanations": len(back),
        "failed": wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=".venv-neuronpedia/bin/python", help="python of its environment")
    with tempfile.TemporaryDirectory() as directory:
        found = compare(parser.parse_args().python, Path(directory).resolve())
    write_result("neuronpedia", found)
    return int(bool(found["failed"]))


if __name__ == "__main__":
    sys.exit(main())
