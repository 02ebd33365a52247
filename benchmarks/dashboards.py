"""From model to browsable features: Loupe and SAEDashboard on the same model, SAE and tokens, one after the other.

SAEDashboard runs in an environment of its own (`make peers`). Both begin with a loaded model and a finished SAE and end
with what a browser can show. The cost of a further feature is the slope between two numbers of features.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from benchmarks.result import write_result
from catalog.catalog import Catalog
from loaders.workspace import Workspace
from precompute import build, capture, loss_step, train_config
from precompute.contexts import context_from_pieces
from precompute.dataset_writer import write_dataset
from precompute.models import load_model
from precompute.progress import Progress
from precompute.sae_files import write_sae
from precompute.saes.sae import Sae
from precompute.vocabulary import tokenizer_info

WIDTH, VOCABULARY, CONTEXT, K = 128, 5_000, 128, 32
HOOK = "transformer.h.0"
PEER = Path(__file__).parent / "peers" / "run_sae_dashboard.py"


def write_inputs(root: Path, contexts: int, features: int) -> None:
    """Model, tokens, dataset and SAE (in SAELens's layout, which both read) in a workspace."""
    torch.manual_seed(0)
    workspace, words = Workspace(root), [f"w{number}" for number in range(VOCABULARY)]
    folder = workspace.models_dir() / "tiny"
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    words_only = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0]))
    PreTrainedTokenizerFast(tokenizer_object=words_only, unk_token=words[0]).save_pretrained(folder)
    loaded = load_model(str(folder))
    tokens = np.minimum(np.random.default_rng(0).zipf(1.3, (contexts, CONTEXT)), VOCABULARY) - 1
    np.save(root / "tokens.npy", tokens)
    write_dataset(
        workspace,
        "words",
        (
            context_from_pieces(row, [words[token] + " " for token in row], {"kind": f"kind {number % 7}"}, str(number))
            for number, row in enumerate(tokens.tolist())
        ),
        columns=["kind"],
        vocab=words,
        tokenizer=tokenizer_info(loaded.tokenizer, "tiny"),
        description="{samples} random words",
        sampled=False,
    )
    decoder = torch.nn.functional.normalize(torch.randn(features, WIDTH), dim=1)
    facts = {
        "model_name": str(folder),
        "model_id": "tiny",
        "hook_name": HOOK,
        "set": None,
        "layer_index": 0,
        "quality": {},
        "fingerprints": {"model": loaded.fingerprint, "dataset": "0" * 64},
    }
    sae = Sae("topk", decoder.clone(), decoder, torch.zeros(WIDTH), {"b_enc": torch.zeros(features)}, K)
    write_sae(workspace.sae_dir("tiny"), sae, facts)


def run_ours(root: Path) -> None:
    """Every step from the model to a published store with all tables; prints the seconds of each as JSON."""
    workspace, start = Workspace(root), time.perf_counter()
    model = str(workspace.models_dir() / "tiny")
    capture.run(capture.Config(model=model, dataset="words", hooks=(HOOK,)), workspace, Progress())
    seconds = {"capture": round(time.perf_counter() - start, 2)}
    training = train_config.Config(sae_id="tiny", model_id="tiny", dataset_id="words", hook=HOOK)
    for task in build.layer_tasks(
        training, loss_step.Config(training.sae_id, model=model), workspace, Catalog(workspace.catalog_url)
    ):
        if "/train" in task.id:
            continue  # the SAE is given
        began = time.perf_counter()
        task.run(Progress())
        seconds[task.id.rpartition("/")[2]] = round(time.perf_counter() - began, 2)
    print(json.dumps({"seconds": seconds, "total": round(time.perf_counter() - start, 2)}))


def measure(peer_python: str, contexts: int = 2_048, features: int = 1_024) -> dict[str, object]:
    """Seconds, features per second and seconds per further feature of both, and their ratios."""
    ours: dict[int, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for count in (features, 2 * features):
            root = Path(temporary) / str(count)
            root.mkdir()
            write_inputs(root, contexts, count)
            words = [sys.executable, "-m", "benchmarks.dashboards", "--ours", str(root)]
            ours[count] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        half = features // 2
        words = [peer_python, str(PEER), str(Path(temporary) / str(features)), str(half), str(features)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        theirs = {int(count): float(found) for count, found in json.loads(done.stdout.splitlines()[-1]).items()}
        store = Workspace(Path(temporary) / str(features)).store_dir("tiny@words")
        tables = sum(path.stat().st_size for path in (store / "tables").rglob("*") if path.is_file())
    total = float(str(ours[features]["total"]))
    our_margin = (float(str(ours[2 * features]["total"])) - total) / features
    their_margin = (theirs[features] - theirs[half]) / half
    return {
        "features": features,
        "tokens": contexts * CONTEXT,
        "loupe": {
            "total_s": total,
            "features_per_s": round(features / total, 1),
            "further_feature_ms": round(our_margin * 1000, 3),
            "steps_s": ours[features]["seconds"],
            "twice_the_features_s": ours[2 * features]["total"],
            "table_bytes_per_feature": round(tables / features),
        },
        "sae_dashboard": {
            "total_s": theirs[features],
            "features_per_s": round(features / theirs[features], 1),
            "further_feature_ms": round(their_margin * 1000, 3),
            "half_the_features_s": theirs[half],
        },
        "ratio_total": round(theirs[features] / total, 1),
        "ratio_further_feature": round(their_margin / our_margin, 1),
        "must_reach": {"ratio_total": 5, "ratio_further_feature": 20, "store_bytes_per_feature": 12_000},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default=".venv-peers/bin/python")
    parser.add_argument("--contexts", type=int, default=2_048)
    parser.add_argument("--features", type=int, default=1_024)
    parser.add_argument("--ours", help="run Loupe's steps over this workspace instead (what the measurement starts)")
    parsed = parser.parse_args()
    if parsed.ours:
        run_ours(Path(parsed.ours))
    else:
        write_result("dashboards", measure(parsed.peer_python, parsed.contexts, parsed.features))


if __name__ == "__main__":
    main()
