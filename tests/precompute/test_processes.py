"""Two real gloo processes, as torchrun starts them, against one with the same global batch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from precompute import trainer
from precompute.config_file import write_config
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.train import Config, run

ROOT = Path(__file__).parents[2]
CONFIG = Config(
    sae_id="shared",
    model_id="planted",
    dataset_id="words",
    hook="hidden",
    k=3,
    expansion=4,
    steps=40,
    batch=256,
    dead_after=10,
    log_every=5,
    evaluate_every=20,
    threads=1,
    dtype="float32",
)


def losses(directory):
    return [json.loads(line)["loss"] for line in (directory / "metrics.jsonl").read_text().splitlines()]


def train_by_two(config, workspace, folder):
    """Train it as `torchrun --nproc-per-node 2 -m loupe train` does; returns the SAE's directory."""
    settings = folder / "run.toml"
    write_config(settings, config)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    loupe = ["-m", "loupe", "train", "--config", str(settings), "--workspace", str(workspace.root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [*torchrun, "--rdzv-endpoint=127.0.0.1:0", *loupe]
    said = subprocess.run(started, check=True, env=environment, timeout=300, capture_output=True, text=True)
    assert said.stdout.count(f"saes/{config.sae_id}") == 1
    return workspace.sae_dir(config.sae_id)


@pytest.mark.parametrize("architecture", ["topk", "batch_topk", "jumprelu"])
def test_two_processes_have_the_losses_of_one_with_the_same_global_batch(planted, tmp_path, architecture):
    config = replace(CONFIG, architecture=architecture)
    shared = train_by_two(config, planted.workspace, tmp_path)
    alone = run(replace(config, sae_id="alone"), planted.workspace, Progress())
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    one, other = load_sae(shared)[0], load_sae(alone)[0]
    assert torch.allclose(one.w_dec, other.w_dec, atol=1e-2)


def test_two_processes_begin_features_anew_at_the_rows_that_one_would(planted, tmp_path, monkeypatch):
    begun = []
    begin_anew = trainer.begin_anew
    monkeypatch.setattr(trainer, "begin_anew", lambda *args: begun.append(len(args[3])) or begin_anew(*args))
    config = replace(CONFIG, architecture="topk", k=2, expansion=16, dead_after=5, log_every=1)
    alone = run(replace(config, sae_id="alone"), planted.workspace, Progress())
    assert len(begun) > 2 and sum(begun) > 30
    shared = train_by_two(config, planted.workspace, tmp_path)
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
