"""Train an SAE on captured activations; hands on `saes/<id>/` in the SAELens layout, with metrics while it runs."""

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from catalog.catalog import Catalog
from loaders.dataset import Dataset
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from precompute.activations import Activations
from precompute.checkpoints import load_checkpoint, save_checkpoint
from precompute.disk import require_space
from precompute.fvu import measure_reconstruction
from precompute.metrics_file import MetricsFile
from precompute.progress import Progress, Step
from precompute.run_record import RunRecord, recorded_run
from precompute.sae_files import write_sae
from precompute.saes import ARCHITECTURES
from precompute.threads import torch_threads
from precompute.train_config import PRESETS, Config, check, functional
from precompute.trainer import StepFigures, Trainer
from precompute.training_rows import TrainingRows

__all__ = ["PRESETS", "Config", "run"]

CHECKED_ROWS = 8_192  # held-out rows measured while training; the final figure is over all of them


def run(config: Config, workspace: Workspace, progress: Progress, catalog: Catalog | None = None) -> Path:
    """Train, or go on from the newest checkpoint, and return the SAE's directory; a finished SAE is left as it is.

    Raises BadInput for settings that cannot be, for activations of another dataset, and where the directory holds an
    SAE or a checkpoint of other settings or other activations.
    """
    check(config)
    directory = workspace.sae_dir(config.sae_id)
    activations = Activations.open(workspace.activations_dir(config.model_id, config.dataset_id, config.hook))
    dataset = workspace.dataset(config.dataset_id)
    fingerprints = agreed_fingerprints(activations, dataset)
    if (directory / "cfg.json").exists():
        metadata = SaeRecord.open(directory).metadata
        _require_same(directory, config, metadata.get("training", {}), fingerprints, metadata.get("fingerprints", {}))
        shutil.rmtree(directory / "checkpoints", ignore_errors=True)
        return directory
    saved = load_checkpoint(directory / "checkpoints")
    if saved:
        _require_same(directory, config, saved["settings"], fingerprints, saved["fingerprints"])
    weights_bytes = 2 * config.expansion * activations.width**2 * 4
    require_space(directory, 8 * weights_bytes, f"the checkpoints and weights of SAE '{config.sae_id}'")
    with recorded_run(config, catalog) as record, torch_threads(saved["threads"] if saved else config.threads):
        rows = TrainingRows(activations, dataset, config.batch, config.seed)
        session = _Session(config, directory, fingerprints, rows, saved, record)
        with progress.step(f"train {config.sae_id}", total=config.steps, unit="steps") as bar:
            session.train(bar)
        session.export(str(activations.manifest["model"]))
    shutil.rmtree(directory / "checkpoints", ignore_errors=True)
    return directory


def agreed_fingerprints(activations: Activations, dataset: Dataset) -> dict[str, str]:
    """Fingerprints of model and dataset behind the activations; raises BadInput when they are of another dataset."""
    found = {name: str(activations.manifest["fingerprints"][name]) for name in ("model", "dataset")}
    if found["dataset"] != dataset.fingerprint:
        raise BadInput(
            f"The activations at '{activations.path}' are of another version of dataset '{dataset.id}' (fingerprint"
            f" {found['dataset'][:12]}, wanted {dataset.fingerprint[:12]}). Delete them and run `loupe capture` again."
        )
    return found


def _require_same(
    directory: Path, config: Config, settings: dict[str, Any], wanted: dict[str, str], fingerprints: dict[str, str]
) -> None:
    changed = [
        f"{name} {settings.get(name)!r}, not {value!r}"
        for name, value in functional(config).items()
        if settings.get(name) != value
    ]
    changed += [f"another {name}" for name, value in wanted.items() if fingerprints.get(name) != value]
    if changed:
        raise BadInput(
            f"SAE '{directory.name}' was begun with other settings: {'; '.join(changed)}. Choose another id, or delete"
            f" '{directory}'."
        )


class _Session:
    """A run between its start, or its newest checkpoint, and its export."""

    def __init__(
        self,
        config: Config,
        directory: Path,
        fingerprints: dict[str, str],
        rows: TrainingRows,
        saved: dict[str, Any] | None,
        record: RunRecord,
    ) -> None:
        self.config, self.directory, self.fingerprints, self.rows, self.record = (
            config,
            directory,
            fingerprints,
            rows,
            record,
        )
        self.trainer = Trainer(config, rows)
        self.seconds = 0.0  # of training, over all resumes
        if saved:
            self.trainer.restore(saved)
            self.seconds = saved["seconds"]
        self.metrics = MetricsFile(directory / "metrics.jsonl", self.trainer.done)
        self.checked = rows.held_out_subset(CHECKED_ROWS)

    def train(self, bar: Step) -> None:
        """Take the steps that are left; rows of metrics at every `log_every`-th, checkpoints at every `checkpoint_every`-th."""
        config, trainer = self.config, self.trainer
        bar.skip(trainer.done)
        recent: list[StepFigures] = []
        started = time.monotonic() - self.seconds
        while trainer.done < config.steps:
            recent.append(trainer.advance())
            is_last = trainer.done == config.steps
            if is_last or trainer.done % config.log_every == 0 or trainer.done % config.evaluate_every == 0:
                row = _average(recent)
                if is_last or trainer.done % config.evaluate_every == 0:
                    row |= self.check(self.checked)
                self.seconds = time.monotonic() - started
                row = {"step": trainer.done, **row, "seconds": round(self.seconds, 3)}
                self.metrics.append(row)
                self.record.update(trainer.done, row)
                bar.advance(len(recent), note=f"FVU {row.get('fvu_held_out', row['fvu_train']):.3f}")
                recent = []
            if is_last or trainer.done % config.checkpoint_every == 0:
                self.metrics.sync()
                save_checkpoint(self.directory / "checkpoints", trainer.done, self.state())
        self.metrics.close()

    def check(self, rows: np.ndarray) -> dict[str, float]:
        """Held-out figures over the given rows, with the weights as they would be exported."""
        weights = ARCHITECTURES[self.config.architecture].fold(self.trainer.weights, self.rows.mean, self.rows.scale)
        found = measure_reconstruction(weights, self.config.k, self.rows.raw(rows))
        return {"fvu_held_out": found.fvu, "l0_held_out": found.l0, "held_out_samples": found.rows}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            **self.trainer.state(),
            "seconds": self.seconds,
            "threads": torch.get_num_threads(),
            "settings": functional(self.config),
            "fingerprints": self.fingerprints,
        }

    def export(self, model: str) -> None:
        """Measure on all held-out rows and write the folded SAE."""
        config, trainer = self.config, self.trainer
        held_out = self.check(self.rows.held_out)
        dead_share = len(trainer.dead()) / len(trainer.last_fired)
        quality = {
            "fvu": held_out["fvu_held_out"],
            "explained_variance": 1 - held_out["fvu_held_out"],
            "l0": held_out["l0_held_out"],
            "held_out_samples": held_out["held_out_samples"],
            "dead_share": dead_share,
            "dead_share_samples": min(config.dead_after, config.steps) * config.batch,
            "steps": config.steps,
            "seconds": round(self.seconds, 1),
        }
        metadata = {
            "model_name": model,
            "model_id": config.model_id,
            "hook_name": config.hook,
            "dataset": config.dataset_id,
            "set": config.set_id or None,
            "layer_index": config.layer_index,
            "fingerprints": self.fingerprints,
            "training": {**asdict(config), "threads": torch.get_num_threads(), "scale": self.rows.scale},
            "quality": quality,
        }
        weights = ARCHITECTURES[config.architecture].fold(trainer.weights, self.rows.mean, self.rows.scale)
        write_sae(self.directory, weights, config.k, metadata)
        self.record.update(config.steps, quality)


def _average(recent: list[StepFigures]) -> dict[str, float]:
    """Means over the steps since the last row; learning rate and dead features as they are now."""
    return {
        "loss": float(np.mean([step.loss for step in recent])),
        "fvu_train": float(np.mean([step.fvu for step in recent])),
        "l0": float(np.mean([step.l0 for step in recent])),
        "lr": recent[-1].lr,
        "dead": recent[-1].dead,
        "grad_norm": float(np.mean([step.grad_norm for step in recent])),
    }
