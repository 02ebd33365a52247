"""A batch chosen by a bound on memory keeps to it, measured in a process of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loaders.errors import BadInput
from precompute.batch_size import choose_batch, needed
from precompute.train_config import Config

ROOT = Path(__file__).parents[2]
CONFIG = Config("a", "m", "d", "h", expansion=16, batch=0, memory="1GB")
PROGRAM = """
import sys, torch
from pathlib import Path
from precompute.train_config import Config
from precompute.trainer import Trainer
batch, width, architecture = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
config = Config("a", "m", "d", "h", expansion=16, batch=batch, architecture=architecture, dtype="float32")
trainer = Trainer(config, width)
for _ in range(4):
    trainer.advance(torch.randn(batch, width))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) * 1024)
"""


def test_a_batch_that_was_asked_for_is_taken():
    assert choose_batch(replace(CONFIG, batch=100, memory=""), 64, 1) == 100


@pytest.mark.parametrize("architecture", ["topk", "standard"])
def test_the_chosen_batch_is_the_largest_power_of_two_that_fits_and_a_step_keeps_to_the_bound(architecture):
    config = replace(CONFIG, architecture=architecture)
    batch = choose_batch(config, 128, 1)
    assert batch & (batch - 1) == 0
    assert needed(config, 128, batch) <= 10**9 < needed(config, 128, 2 * batch)
    words = [sys.executable, "-c", PROGRAM, str(batch), "128", architecture]
    said = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT)
    assert 5 * 10**8 < int(said.stdout) <= 10**9


def test_several_processes_have_a_bound_each():
    assert choose_batch(CONFIG, 128, 2) == 2 * choose_batch(CONFIG, 128, 1)


def test_a_bound_that_holds_no_batch_is_refused_with_what_one_takes():
    with pytest.raises(BadInput, match=r"--memory 96 MiB is too little to train 2,048 features .* takes about"):
        choose_batch(replace(CONFIG, memory="100MB"), 128, 1)
