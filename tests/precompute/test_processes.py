"""Two real gloo processes, as torchrun starts them, against one with the same global batch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("architecture", ["topk", "batch_topk", "jumprelu"])
def test_two_processes_have_the_losses_of_one_with_the_same_global_batch(planted, tmp_path, architecture):
    config = replace(CONFIG, architecture=architecture)
    settings = tmp_path / "run.toml"
    write_config(settings, config)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    loupe = ["-m", "loupe", "train", "--config", str(settings), "--workspace", str(planted.workspace.root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [*torchrun, "--rdzv-endpoint=127.0.0.1:0", *loupe]
    said = subprocess.run(started, check=True, env=environment, timeout=300, capture_output=True, text=True)
    assert said.stdout.count("saes/shared") == 1
    alone = run(replace(config, sae_id="alone"), planted.workspace, Progress())
    shared = planted.workspace.sae_dir("shared")
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    one, other = load_sae(shared)[0], load_sae(alone)[0]
    assert torch.allclose(one.w_dec, other.w_dec, atol=1e-2)
