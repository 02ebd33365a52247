import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from catalog.catalog import Catalog
from catalog.runs import runs
from loaders.errors import BadInput, StoreDamaged
from precompute.activations import Activations
from precompute.progress import Progress
from precompute.rows import normalise
from precompute.sae_files import load_sae
from precompute.saes import topk
from precompute.saes.sae import decode
from precompute.train import Config, run
from precompute.trainer import Trainer, first_scale, learning_rate
from precompute.training_rows import TrainingRows

ROOT = Path(__file__).parents[2]
CONFIG = Config(
    sae_id="planted-l0",
    model_id="planted",
    dataset_id="words",
    hook="hidden",
    k=3,
    expansion=4,
    steps=400,
    batch=512,
    lr=1e-2,
    threads=1,
)
SHORT = replace(CONFIG, steps=20, batch=64, log_every=5, evaluate_every=10, checkpoint_every=10)


def metrics(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def training_rows(planted, config):
    activations = Activations.open(planted.workspace.activations_dir("planted", "words", "hidden"))
    return TrainingRows(activations, planted.workspace.dataset("words"), config.batch, config.seed)


def test_planted_directions_are_recovered(planted):
    directory = run(CONFIG, planted.workspace, Progress())
    weights, cfg = load_sae(directory)
    best = (planted.atoms @ weights.w_dec.numpy().T).max(axis=1)
    assert (best > 0.9).mean() >= 0.9
    assert cfg["metadata"]["quality"]["fvu"] < 0.1


def test_the_reported_fvu_is_that_of_the_exported_file_on_all_held_out_rows(planted):
    directory = run(SHORT, planted.workspace, Progress())
    weights, cfg = load_sae(directory)
    held_out = torch.from_numpy(planted.rows[planted.is_held_out].astype(np.float32))
    codes = topk.encode_sparse(weights, held_out)
    residual = (decode(weights, codes) - held_out).square().sum()
    quality = cfg["metadata"]["quality"]
    assert quality["fvu"] == pytest.approx(float(residual / (held_out - held_out.mean(0)).square().sum()), rel=1e-4)
    assert quality["explained_variance"] == pytest.approx(1 - quality["fvu"])
    assert quality["l0"] == pytest.approx(len(codes.indices) / len(held_out))
    assert quality["held_out_samples"] == planted.is_held_out.sum()
    assert cfg["metadata"]["fingerprints"]["model"] == "m" * 64


def test_rows_are_centred_scaled_shuffled_by_epoch_and_never_held_out(planted):
    rows = training_rows(planted, SHORT)
    per_epoch = len(rows.train) // SHORT.batch
    epoch = torch.cat([rows.batch(step) for step in range(per_epoch)])
    assert epoch.mean(0).abs().max() < 0.05
    assert float(epoch.square().sum(1).mean()) == pytest.approx(rows.width, rel=0.01)
    seen = {row.tobytes() for row in epoch.numpy()}
    assert len(seen) == per_epoch * SHORT.batch
    held_out = planted.rows[planted.is_held_out].astype(np.float32)
    assert not seen & {row.tobytes() for row in normalise(torch.from_numpy(held_out), rows.mean, rows.scale).numpy()}
    assert not torch.equal(rows.batch(0), rows.batch(per_epoch))
    assert torch.equal(rows.batch(0), training_rows(planted, SHORT).batch(0))
    assert not torch.equal(rows.batch(0), training_rows(planted, replace(SHORT, seed=1)).batch(0))


def test_metrics_hold_the_curves_and_held_out_figures(planted):
    rows = metrics(run(SHORT, planted.workspace, Progress()))
    assert [row["step"] for row in rows] == [1, 2, 5, 10, 15, 20]
    assert {"loss", "fvu_train", "l0", "lr", "dead", "grad_norm", "seconds"} <= rows[0].keys()
    assert ["fvu_held_out" in row for row in rows] == [True, True, True, True, False, True]
    assert rows[-1]["fvu_train"] < rows[0]["fvu_train"]
    assert rows[-1]["seconds"] >= rows[0]["seconds"] > 0


def test_the_learning_rate_warms_up_stays_and_decays_linearly():
    config = replace(CONFIG, steps=100, warmup=0.1, decay=0.5)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 9) == learning_rate(config, 50) == pytest.approx(1.0)
    assert learning_rate(config, 75) == pytest.approx(0.5)
    assert learning_rate(config, 99) == pytest.approx(0.02)
    assert learning_rate(replace(config, decay=1.0), 50) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("architecture", "features", "scale"),
    [
        ("topk", 256, 0.5),
        ("topk", 3_072, 0.5),
        ("topk", 16_384, 0.3026),
        ("jumprelu", 256, 0.5),
        ("jumprelu", 1_024, 0.125),
    ],
)
def test_a_wide_encoder_begins_fainter(architecture, features, scale):
    config = replace(CONFIG, architecture=architecture, features=features, encoder_scale=0.5, k=32)
    trainer = Trainer(config, 32)
    assert first_scale(config, trainer.settings) == pytest.approx(scale, abs=1e-4)
    assert trainer.weights.w_enc.norm(dim=-1).max() == pytest.approx(scale, rel=1e-3)


def test_the_number_of_features_can_be_given_as_it_is(planted):
    sae, cfg = load_sae(run(replace(SHORT, features=50), planted.workspace, Progress()))
    assert sae.d_sae == cfg["d_sae"] == 50


def test_decoder_rows_keep_unit_norm(planted):
    rows = training_rows(planted, SHORT)
    trainer = Trainer(SHORT, rows.width)
    for step in range(3):
        trainer.advance(rows.batch(step))
    torch.testing.assert_close(trainer.weights.w_dec.norm(dim=1), torch.ones(4 * 32))


def test_features_that_stopped_firing_are_revived(planted):
    def alive(aux_weight):
        config = replace(CONFIG, dead_after=20, expansion=2, steps=200, aux_weight=aux_weight)
        rows = training_rows(planted, config)
        trainer = Trainer(config, rows.width)
        trainer.weights.biases["b_enc"][:30] = -100.0
        for step in range(200):
            trainer.advance(rows.batch(step))
        return float((trainer.last_fired[:30] > 180).float().mean())

    assert alive(1 / 32) > 0.8
    assert alive(0.0) == 0


def test_a_finished_sae_is_left_alone_and_other_settings_are_refused(planted):
    directory = run(SHORT, planted.workspace, Progress())
    before = (directory / "sae_weights.safetensors").stat().st_mtime_ns
    run(replace(SHORT, log_every=7), planted.workspace, Progress())
    assert (directory / "sae_weights.safetensors").stat().st_mtime_ns == before
    assert not (directory / "checkpoints").exists()
    with pytest.raises(BadInput, match="k 3, not 5"):
        run(replace(SHORT, k=5), planted.workspace, Progress())


def test_activations_of_another_dataset_are_refused(planted):
    path = planted.workspace.activations_dir("planted", "words", "hidden") / "manifest.json"
    path.write_text(path.read_text().replace("d" * 64, "e" * 64))
    with pytest.raises(BadInput, match="another version of dataset 'words'"):
        run(SHORT, planted.workspace, Progress())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"architecture": "magic"}, "Architecture 'magic' is unknown"),
        ({"k": 0}, "k is 0"),
        ({"k": 129}, "k is 129 but the SAE has 128 features"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"warmup": 2.0}, "warmup is 2.0"),
        ({"batch": 50_000}, "a batch takes 50,000"),
    ],
)
def test_settings_that_cannot_be_are_refused(planted, change, sentence):
    with pytest.raises(BadInput, match=sentence):
        run(replace(SHORT, **change), planted.workspace, Progress())


def test_a_run_is_recorded_in_the_catalog(planted, tmp_path):
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    run(SHORT, planted.workspace, Progress(), catalog)
    (recorded,) = runs(catalog)
    assert (recorded.sae_id, recorded.status, recorded.step, recorded.total_steps) == ("planted-l0", "done", 20, 20)
    assert recorded.final_metrics["fvu"] < 1 and recorded.config["k"] == 3


def test_a_run_that_diverges_says_so_and_is_recorded_as_failed(planted, tmp_path):
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    with pytest.raises(BadInput, match="diverged at step"):
        run(replace(SHORT, lr=1e30, steps=200), planted.workspace, Progress(), catalog)
    (recorded,) = runs(catalog)
    assert recorded.status == "failed" and "diverged" in recorded.error_message


PROGRAM = """
import sys
from pathlib import Path
from loaders.workspace import Workspace
from precompute.progress import Progress
from precompute.train import Config, run
run(Config(**{settings!r}), Workspace(Path(sys.argv[1])), Progress())
"""


class SkippedSteps:
    """A progress sink that keeps the largest number of steps found finished."""

    most = 0

    def update(self, step):
        self.most = max(self.most, step.skipped)


def test_a_killed_run_resumes_to_the_same_weights(planted):
    config = replace(SHORT, steps=500, checkpoint_every=50)
    program = PROGRAM.format(settings={name: getattr(config, name) for name in config.__dataclass_fields__})
    process = subprocess.Popen([sys.executable, "-c", program, str(planted.workspace.root)], cwd=ROOT)
    directory = planted.workspace.sae_dir(config.sae_id)
    deadline = time.monotonic() + 120
    while not any((directory / "checkpoints").glob("step_*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (directory / "cfg.json").exists()

    sink = SkippedSteps()
    resumed, made = load_sae(run(config, planted.workspace, Progress(sink)))
    assert sink.most >= 50
    assert [row["step"] for row in metrics(directory)] == [1, 2, *range(5, 501, 5)]
    whole, cfg = load_sae(run(replace(config, sae_id="whole"), planted.workspace, Progress()))
    assert made["metadata"]["fingerprints"] == cfg["metadata"]["fingerprints"]
    assert all(torch.equal(one, whole.parameters[name]) for name, one in resumed.parameters.items())


class StoppedAt:
    """A progress sink that stops the run, as Ctrl-C would, once so many steps are done."""

    def __init__(self, steps):
        self.steps = steps

    def update(self, step):
        if step.status == "running" and step.done >= self.steps:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("begun", "would_take"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_resumed_run_keeps_the_product_that_it_was_begun_with(planted, monkeypatch, capsys, begun, would_take):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: begun == "bfloat16")
    with pytest.raises(KeyboardInterrupt):
        run(SHORT, planted.workspace, Progress(StoppedAt(10)))
    whole, _ = load_sae(run(replace(SHORT, sae_id="whole"), planted.workspace, Progress()))
    assert "was begun with" not in capsys.readouterr().err
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: begun != "bfloat16")
    resumed, cfg = load_sae(run(SHORT, planted.workspace, Progress()))
    assert f"begun with encoder products in {begun} and goes on" in (said := capsys.readouterr().err)
    assert f"this machine would take {would_take}" in said
    assert cfg["metadata"]["training"]["product"] == begun and cfg["metadata"]["training"]["dtype"] == "auto"
    assert all(torch.equal(one, whole.parameters[name]) for name, one in resumed.parameters.items())


def test_a_run_that_leaves_many_features_dead_says_how_many_and_what_to_try(planted, capsys):
    run(replace(CONFIG, sae_id="well", steps=100, expansion=2, k=6), planted.workspace, Progress())
    assert "dead" not in capsys.readouterr().err
    run(replace(SHORT, k=1, expansion=32, dead_after=5), planted.workspace, Progress())
    said = capsys.readouterr().err
    share = int(re.match(r"loupe: (\d+)% of the 1,024 features of SAE 'planted-l0' are dead", said)[1])
    assert share > 20 and said.endswith("Try a smaller lr than 0.01, fewer features, a larger k or more steps.\n")
    assert "in the last 5 steps (320 rows)" in said


def test_a_torn_checkpoint_is_reported_with_the_remedy(planted):
    checkpoint = planted.workspace.sae_dir("planted-l0") / "checkpoints" / "step_00000010.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"torn")
    with pytest.raises(StoreDamaged, match=r"step_00000010\.pt' cannot be read\. Delete it"):
        run(SHORT, planted.workspace, Progress())
