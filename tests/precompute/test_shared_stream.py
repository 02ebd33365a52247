"""Two real gloo processes that train from one stream: each reads its share of the contexts, and both get the rows of one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from loaders.workspace import Workspace
from precompute import train
from precompute.config_file import write_config
from precompute.models import load_model
from precompute.progress import Progress
from precompute.sae_files import load_sae
from precompute.streamed_rows import Stream, StreamedRows

ROOT = Path(__file__).parents[2]
HOOKS = ("encoder.layer.0", "encoder.layer.1")
BUFFER, BATCH, STEPS = 4_000, 128, 40
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
TORCHRUN += ["--rdzv-endpoint=127.0.0.1:0"]
READ_TOGETHER = """
import sys
import torch
from loaders.workspace import Workspace
from precompute.models import load_model
from precompute.processes import started_by_torchrun
from precompute.streamed_rows import Stream, StreamedRows
root, out, hooks = sys.argv[1], sys.argv[2], sys.argv[3].split()
buffer, batch, steps = map(int, sys.argv[4:])
workspace = Workspace(root)
read = []
harvest = Stream.harvest
Stream.harvest = lambda self, contexts, passes: read.extend(contexts.tolist()) or harvest(self, contexts, passes)
with started_by_torchrun("cpu") as processes:
    loaded = load_model(str(workspace.models_dir() / "tiny"))
    stream = Stream(loaded, workspace.dataset("texts"), tuple(hooks), buffer, 0, processes)
    rows = {hook: StreamedRows(stream, hook, batch) for hook in hooks}
    found = {hook: torch.stack([rows[hook].batch(step, processes.rank, 2) for step in range(steps)]) for hook in hooks}
    state = {"mean": rows[hooks[0]].mean, "scale": rows[hooks[0]].scale, "sample": rows[hooks[0]].sample}
    state |= {"read": read, "batches": found, "checked": rows[hooks[0]].checked}
    torch.save(state, f"{out}/{processes.rank}.pt")
"""


@pytest.fixture
def own(workspace, tmp_path):
    """A workspace with the model and the dataset alone."""
    for part in ("models", "datasets"):
        shutil.copytree(workspace.root / part, tmp_path / part)
    return Workspace(tmp_path)


def start(command):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*TORCHRUN, *command], check=True, env=environment, timeout=300, capture_output=True, text=True
    )


def test_each_process_reads_its_share_of_the_contexts_and_both_have_the_batches_of_one(own, tmp_path):
    program = tmp_path / "read.py"
    program.write_text(READ_TOGETHER)
    start([str(program), str(own.root), str(tmp_path), " ".join(HOOKS), str(BUFFER), str(BATCH), str(STEPS)])
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]

    dataset = own.dataset("texts")
    stream = Stream(load_model(str(own.models_dir() / "tiny")), dataset, HOOKS, BUFFER, 0)
    counts, read = np.diff(dataset.sample_offsets), [np.array(part["read"]) for part in parts]
    assert not set(read[0].tolist()) & set(read[1].tolist())
    shares = [counts[contexts].sum() for contexts in read]
    assert min(shares) > 0.35 * sum(shares)
    for hook in HOOKS:
        rows = StreamedRows(stream, hook, BATCH)
        for step in range(STEPS):
            both = torch.cat([part["batches"][hook][step] for part in parts])
            torch.testing.assert_close(both, rows.batch(step), rtol=1e-6, atol=1e-6)
    first = StreamedRows(stream, HOOKS[0], BATCH)
    assert [len(part["checked"]) for part in parts] == [len(first.checked), 0]
    assert torch.equal(parts[0]["checked"], first.checked)
    assert parts[0]["scale"] == parts[1]["scale"] == pytest.approx(first.scale, rel=1e-12)
    torch.testing.assert_close(parts[1]["sample"], first.sample, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("architecture", ["topk", "batch_topk"])
def test_two_processes_train_from_a_stream_what_one_does(own, tmp_path, architecture):
    config = train.Config(
        sae_id="shared",
        model_id="tiny",
        dataset_id="texts",
        hook=HOOKS[1],
        model=str(own.models_dir() / "tiny"),
        architecture=architecture,
        buffer=2_000,
        k=8,
        expansion=4,
        steps=40,
        batch=256,
        log_every=5,
        evaluate_every=20,
        threads=1,
        dtype="float32",
    )
    write_config(tmp_path / "run.toml", config)
    start(["-m", "loupe", "train", "--config", str(tmp_path / "run.toml"), "--workspace", str(own.root)])
    alone = train.run(replace(config, sae_id="alone"), own, Progress())
    found = [json.loads(line) for line in (own.sae_dir("shared") / "metrics.jsonl").read_text().splitlines()]
    wanted = [json.loads(line) for line in (alone / "metrics.jsonl").read_text().splitlines()]
    for name in ("loss", "fvu_held_out"):
        assert [row[name] for row in found if name in row] == pytest.approx(
            [row[name] for row in wanted if name in row], rel=1e-4
        )
    one, other = (load_sae(own.sae_dir(name))[1]["metadata"]["quality"] for name in ("shared", "alone"))
    assert one["held_out_samples"] == other["held_out_samples"]
    assert one["fvu"] == pytest.approx(other["fvu"], rel=1e-4)
