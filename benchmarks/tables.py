"""Every table of a large store, each by its own step, with seconds, and the peak of anonymous memory.

The store is synthetic: features of heavy-tailed popularity over random tokens, an SAE and a model with random weights.
Each table is exact over all samples, so what they say does not matter to the time, only how much there is of it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import scipy.sparse as sp
import torch
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmarks.demo import anonymous_bytes
from benchmarks.result import write_result
from loaders.workspace import Workspace
from precompute import publish, transpose
from precompute.contexts import TokenContext, context_from_pieces
from precompute.dataset_writer import write_dataset
from precompute.progress import Progress
from precompute.publish import write_json
from precompute.sae_files import write_sae
from precompute.saes.sae import Sae
from precompute.sample_blocks import write_batch
from precompute.tables import breakdowns, histograms, idf, influences, neighbours, stats, tokens
from precompute.tables import map as feature_map

STORE = "synthetic@words"
WIDTH, VOCABULARY, CONTEXT = 256, 20_000, 128
BATCH_SAMPLES = 32_768
STEPS = (transpose, stats, histograms, idf, tokens, breakdowns, influences, neighbours, feature_map, publish)


def write_workspace(root: Path, features: int, samples: int, k: int) -> Workspace:
    """Batches, dataset, SAE and model, as the steps before would leave them."""
    workspace, rng = Workspace(root), np.random.default_rng(0)
    words = [f"w{number}" for number in range(VOCABULARY)]
    write_dataset(
        workspace,
        "words",
        _contexts(rng, words, samples),
        columns=["package", "kind"],
        vocab=words,
        tokenizer={"name": "words", "fingerprint": "0" * 64},
        description="{samples} random words",
        sampled=False,
    )
    dataset = workspace.dataset("words")
    fingerprints = {"model": "0" * 64, "dataset": dataset.fingerprint}
    decoder = torch.nn.functional.normalize(torch.randn(features, WIDTH), dim=1)
    sae = Sae("topk", decoder.clone(), decoder, torch.zeros(WIDTH), {"b_enc": torch.zeros(features)}, k)
    facts = {"model_name": "model", "model_id": "model", "hook_name": "transformer.h.0", "set": None, "layer_index": 0}
    write_sae(
        workspace.sae_dir("synthetic"),
        sae,
        facts | {"quality": {"fvu": 0.1}, "fingerprints": {**fingerprints}, "seed": 0},
    )
    fingerprints["sae"] = workspace.sae("synthetic").metadata["fingerprints"]["sae"]
    _write_batches(workspace.store_dir(STORE), rng, features, samples, k, fingerprints)
    _write_model(root / "model", words)
    return workspace


def _contexts(rng: np.random.Generator, words: list[str], samples: int) -> Iterator[TokenContext]:
    for number, first in enumerate(range(0, samples, CONTEXT)):
        count = min(CONTEXT, samples - first)
        ids = np.minimum(rng.zipf(1.3, count), VOCABULARY) - 1
        pieces = [words[token] + " " for token in ids]
        facts = {"package": f"package {number % 20}", "kind": f"kind {number % 7}"}
        yield context_from_pieces(ids.tolist(), pieces, facts, f"document {number // 8}")


def _write_batches(
    store: Path, rng: np.random.Generator, features: int, samples: int, k: int, fingerprints: dict[str, str]
) -> None:
    """k different features a sample, popular ones more often; values of a half-normal distribution."""
    (store / "activations").mkdir(parents=True)
    stride = features // k
    for number, first in enumerate(range(0, samples, BATCH_SAMPLES)):
        rows = min(BATCH_SAMPLES, samples - first)
        within = (stride * rng.random((rows, k), dtype=np.float32) ** 2).astype(np.int64)  # one of each stride
        columns = (within + np.arange(k) * stride).reshape(-1)
        values = np.abs(rng.standard_normal(rows * k, dtype=np.float32)) + np.float32(0.01)
        batch = sp.csr_array((values, columns, np.arange(rows + 1) * k), shape=(rows, features))
        write_batch(store / "activations" / f"batch_{number:04d}.zarr", batch, {})
    quality = {"fvu_all": 0.1, "l0_all": float(k), "dead_share": 0.0, "dead_share_samples": samples}
    write_json(store / "harvest.json", {"fingerprints": fingerprints, "samples": samples, "quality": quality})


def _write_model(directory: Path, words: list[str]) -> None:
    config = GPT2Config(
        vocab_size=len(words), n_positions=CONTEXT, n_embd=WIDTH, n_layer=1, n_head=4, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(directory)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=words[0]).save_pretrained(directory)


def run_steps(root: Path) -> None:
    """All steps, one after the other; prints one JSON line of seconds for each."""
    workspace = Workspace(root)
    for step in STEPS:
        options = {"model": str(root / "model")} if step is influences else {}
        start = time.perf_counter()
        step.run(step.Config(store=STORE, **options), workspace, Progress())
        print(json.dumps({step.__name__.rpartition(".")[2]: round(time.perf_counter() - start, 2)}), flush=True)


def measure(root: Path, features: int, samples: int, k: int) -> dict[str, object]:
    """Seconds of each step in a process of its own, and the peak of that process's anonymous memory."""
    workspace = write_workspace(root, features, samples, k)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tables", "--steps", str(root)], stdout=subprocess.PIPE
    )
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        peak = max(peak, anonymous_bytes(watched))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit("A step failed; see its message above.")
    seconds: dict[str, float] = {}
    for line in process.stdout or ():
        seconds |= json.loads(line)
    tables = sum(value for name, value in seconds.items() if name not in ("transpose", "publish"))
    store = workspace.store_dir(STORE)
    table_bytes = sum(path.stat().st_size for path in (store / "tables").rglob("*") if path.is_file())
    return {
        "features": features,
        "samples": samples,
        "k": k,
        "seconds": seconds,
        "tables_s": round(tables, 1),
        "must_reach_s": 600,
        "peak_anonymous_gib": round(peak / 2**30, 2),
        "must_reach_gib": 4,
        "table_bytes_per_feature": round(table_bytes / features),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=16_384)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--steps", help="run the steps over this workspace instead (what the measurement starts)")
    parsed = parser.parse_args()
    if parsed.steps:
        run_steps(Path(parsed.steps))
        return
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary), parsed.features, parsed.samples, parsed.k)
    write_result("tables", figures)


if __name__ == "__main__":
    main()
