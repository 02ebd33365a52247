"""The activations that `loupe add` makes, beside those of SAELens and TransformerLens, token by token.

`python -m benchmarks.add_peers --python PYTHON`, where PYTHON is that of an environment with sae-lens. A small GPT-2 with
random weights (norms and biases too, so that nothing cancels) and its tokenizer are made here; SAELens makes the SAEs, and
codes the same texts through TransformerLens; `loupe add` brings each SAE by its folder and text alone."""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from benchmarks.result import write_result
from catalog.catalog import Catalog
from loaders.workspace import Workspace
from precompute.add import Config, run

PEER = Path(__file__).parent / "peers" / "saelens_activations.py"
TOLERANCE = 1e-4
LAYERS, WIDTH, HEADS, POSITIONS = 3, 32, 4, 48
END = "<|endoftext|>"
WORDS = (
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "while",
    "seven",
    "dogs",
    "ran",
    "past",
    "it",
    "and",
    "nobody",
    "saw",
    "where",
)


def write_model(folder: Path, texts: list[str]) -> None:
    """A random GPT-2 whose norms and biases are not trivial, and a byte-level BPE tokenizer."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(texts, vocab_size=320, special_tokens=[END], show_progress=False)
    tokenizer = GPT2TokenizerFast(
        tokenizer_object=trained._tokenizer, model_max_length=POSITIONS, eos_token=END, bos_token=END
    )
    first = tokenizer.bos_token_id
    shape = {"n_positions": POSITIONS, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=first, eos_token_id=first, **shape)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            spread = 0.3 if tensor.ndim == 1 else tensor.shape[-1] ** -0.5
            tensor.copy_(torch.randn_like(tensor) * spread + (1 if "ln_" in name and name.endswith("weight") else 0.1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_texts(path: Path, count: int = 24) -> list[str]:
    """Different texts that fit a context each."""
    generator = np.random.default_rng(0)
    texts = [f"{number}: {' '.join(generator.choice(WORDS, generator.integers(4, 12)))}" for number in range(count)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return texts


def found_activations(workspace: Workspace, store_id: str, texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """Activations [tokens, features] of all texts in their order, and the number of tokens of each."""
    store = workspace.open_store(store_id)
    dense = np.zeros((store.manifest["samples"], store.manifest["features"]), np.float32)
    for feature in range(dense.shape[1]):
        found = store.activations(feature)
        dense[found.indices, feature] = found.activations
    data = workspace.dataset(store_id.partition("@")[2])
    offsets = data.sample_offsets
    read = pq.read_table(data.directory / "contexts.parquet", columns=["text"])["text"].to_pylist()
    place = {text: number for number, text in enumerate(read)}
    spans = [(int(offsets[place[text]]), int(offsets[place[text] + 1])) for text in texts]
    return np.concatenate([dense[start:stop] for start, stop in spans]), [stop - start for start, stop in spans]


def compare(python: str, root: Path) -> dict[str, float]:
    """By case: the largest difference of two activations, relative to the largest of SAELens's."""
    texts = write_texts(root / "texts.jsonl")
    write_model(root / "model", texts)
    subprocess.run([python, str(PEER), str(root)], check=True, stdout=subprocess.DEVNULL)
    workspace = Workspace(root / "workspace")
    catalog = Catalog(workspace.catalog_url)
    differences = {}
    for folder in sorted((root / "cases").iterdir()):
        with contextlib.redirect_stderr(io.StringIO()):
            config = Config(str(folder), str(root / "texts.jsonl"), force=True)  # random SAEs rebuild nothing
            added = run(config, workspace, catalog)
        expected = np.load(folder / "expected.npz")
        found, lengths = found_activations(workspace, added[0].store, texts)
        if lengths != expected["lengths"].tolist():
            raise SystemExit(f"{folder.name}: other tokens: {lengths} instead of {expected['lengths'].tolist()}")
        differences[folder.name] = float(np.abs(found - expected["acts"]).max() / expected["acts"].max())
    return differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=".venv-peers/bin/python", help="python of an environment with sae-lens")
    with tempfile.TemporaryDirectory() as directory:
        found = compare(parser.parse_args().python, Path(directory).resolve())
    worst = max(found, key=lambda name: found[name])
    summary = {
        "cases": len(found),
        "tolerance": TOLERANCE,
        "worst_case": worst,
        "largest_difference": found[worst],
        "differences": {name: float(f"{value:.2g}") for name, value in found.items()},
    }
    write_result("add", summary)
    return int(found[worst] > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
