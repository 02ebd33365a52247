"""A run between its start, or its newest checkpoint, and its export: metrics, checkpoints, snapshots, the finished SAE."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loaders.errors import BadInput
from precompute.checkpoints import load_checkpoint, newest_checkpoint, save_checkpoint
from precompute.config_file import write_config
from precompute.devices import choose_device, dtype_name, product_dtype
from precompute.fvu import Reconstruction, measure_sae
from precompute.metrics_file import MetricsFile
from precompute.processes import Processes
from precompute.progress import Step
from precompute.rows import Rows
from precompute.run_record import RunRecord
from precompute.sae_files import write_sae
from precompute.saes.dense_step import with_parameters
from precompute.saes.sae import Sae, fold_normalisation
from precompute.sinks import say
from precompute.snapshots import log_spaced, write_snapshot
from precompute.trackers import Local, Tracker, make_trackers, replay
from precompute.train_config import Config, functional
from precompute.trainer import Diverged, StepFigures, Trainer

MANY_DEAD = 0.05  # share of dead features at the end above which a run says so


class Session:
    """One SAE on its way; `advance` takes a step and everything that is due after it. Only the first process writes."""

    def __init__(
        self, config: Config, directory: Path, rows: Rows, record: RunRecord, processes: Processes, bar: Step
    ) -> None:
        """Raises BadInput where the directory holds a checkpoint of other settings or other activations."""
        self.config, self.directory, self.rows, self.record, self.processes = config, directory, rows, record, processes
        self.bar = bar
        self.seconds = 0.0  # of training, over all resumes
        self._recent: list[StepFigures] = []  # steps since the last row of metrics
        saved = load_checkpoint(directory / "checkpoints")
        if saved:
            require_same(directory, config, saved["settings"], rows.fingerprints, saved["fingerprints"])
        self.trainer = Trainer(self._as_begun(saved or {}), rows.width, processes)
        if saved:
            self.trainer.restore(saved)
            self.seconds = saved["seconds"]
            self._recent = [StepFigures(**figures) for figures in saved["recent"]]
        self._metrics: MetricsFile | None = None
        self._trackers: list[Tracker] = []
        if processes.is_first:
            self._start_tracking(directory.parent.parent / "tracking")
        self._snapshots = set(log_spaced(config.steps))
        bar.skip(self.trainer.done)

    def _as_begun(self, saved: dict[str, Any]) -> Config:
        """The settings with the product that the run was begun with, whatever this machine would choose."""
        config = self.config
        own = dtype_name(product_dtype(config.dtype, choose_device(config.device)))
        begun = saved.get("product", own)
        if begun != own and self.processes.is_first:
            say(
                f"SAE '{config.sae_id}' was begun with encoder products in {begun} and goes on with them, so that it becomes the"
                f" same SAE; this machine would take {own}, and may be slower now."
            )
        return replace(config, dtype=begun)

    def _start_tracking(self, tracking: Path) -> None:
        config, path = self.config, self.directory / "metrics.jsonl"
        self._metrics = MetricsFile(path, self.trainer.done)
        write_config(self.directory / "run.toml", config)
        for path in self.directory.glob("snapshots/step_*.safetensors"):
            if int(path.stem.removeprefix("step_")) > self.trainer.done:  # of another run, or to be made again
                path.unlink()
        others = make_trackers(config.trackers, tracking)
        self._trackers = [Local(self._metrics, self.record), *others]
        for tracker in self._trackers:
            tracker.start(self.record.run, config.sae_id, asdict(config))
        replay(path, others)

    @property
    def is_done(self) -> bool:
        return self.trainer.done >= self.config.steps

    def advance(self) -> None:
        """One step; a row of metrics, a measurement, a snapshot and a checkpoint where they are due.

        Raises Diverged, naming the last good checkpoint; the run's files stay as they were.
        """
        config, trainer = self.config, self.trainer
        started = time.monotonic()
        x = self.rows.batch(trainer.done, self.processes.rank, self.processes.size)
        try:
            self._recent.append(trainer.advance(x))
        except Diverged as error:
            kept = newest_checkpoint(self.directory / "checkpoints")
            raise Diverged(*error.parts, str(kept or "")) from None
        self.seconds += time.monotonic() - started
        step = trainer.done
        is_measured = self.is_done or step % config.evaluate_every == 0
        if self.processes.is_first and (is_measured or step % config.log_every == 0 or step in self._snapshots):
            self._write_row(is_measured)
        if self.processes.is_first and (self.is_done or step % config.checkpoint_every == 0):
            if self._metrics:
                self._metrics.sync()
            save_checkpoint(self.directory / "checkpoints", step, self.state())
        self.bar.advance(1)

    def _write_row(self, is_measured: bool) -> None:
        step, row = self.trainer.done, _average(self._recent)
        is_kept = step in self._snapshots
        if is_measured or is_kept:
            found = measure_sae(self.folded(), [self.rows.checked])
            row |= held_out_figures(found)
            if is_kept:
                w_dec, last_fired = self.trainer.weights.w_dec.cpu(), self.trainer.last_fired.cpu()
                density = found.fired / found.rows
                write_snapshot(
                    self.directory, step, w_dec, density, last_fired, found.rows, found.fvu, self.config.dead_after
                )
        row |= {"rows_per_second": round(step * self.config.batch / self.seconds, 1), "seconds": round(self.seconds, 3)}
        for tracker in self._trackers:
            tracker.log(step, row)
        self.bar.note = f"FVU {row.get('fvu_held_out', row['fvu_train']):.3f}"
        self._recent = []

    def folded(self) -> Sae:
        """The SAE of this step on rows in the model's own units, on the trainer's device."""
        return fold_normalisation(self.trainer.finished(self.rows.sample), self.rows.mean, self.rows.scale)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            **self.trainer.state(),
            "seconds": self.seconds,
            "recent": [step._asdict() for step in self._recent],
            "threads": torch.get_num_threads(),
            "product": dtype_name(self.trainer.settings.dtype),
            "settings": functional(self.config),
            "fingerprints": self.rows.fingerprints,
        }

    def close(self) -> None:
        """End the run where it is tracked: as done when it was exported, as failed when it diverged, else as stopped."""
        status = "done" if self.record.is_complete else "failed" if self.record.failure else "stopped"
        for tracker in self._trackers:
            tracker.finish(status, self.record.metrics)

    def export(self, sae: Sae, found: Reconstruction) -> None:
        """Write the folded SAE, which was measured on all held-out rows."""
        config, trainer = self.config, self.trainer
        quality = {
            "fvu": found.fvu,
            "explained_variance": 1 - found.fvu,
            "l0": found.l0,
            "held_out_samples": found.rows,
            "dead_share": float((found.fired == 0).double().mean()),
            "dead_share_samples": found.rows,
            "steps": config.steps,
            "seconds": round(self.seconds, 1),
        }
        metadata = {
            "model_name": self.rows.model_name,
            "model_id": config.model_id,
            "hook_name": config.hook,
            "dataset": config.dataset_id,
            "set": config.set_id or None,
            "layer_index": config.layer_index,
            "fingerprints": self.rows.fingerprints,
            "training": {
                **asdict(config),
                "threads": torch.get_num_threads(),
                "scale": self.rows.scale,
                "peak_lr": self.trainer.lr,
                "product": dtype_name(trainer.settings.dtype),
            },
            "quality": quality,
        }
        write_sae(self.directory, with_parameters(sae, {k: v.cpu() for k, v in sae.parameters.items()}), metadata)
        self.record.update(config.steps, quality)
        self.record.is_complete = True
        if (share := len(trainer.dead()) / trainer.settings.d_sae) > MANY_DEAD:
            say(
                f"{share:.0%} of the {trainer.settings.d_sae:,} features of SAE '{config.sae_id}' are dead: they did not fire in"
                f" the last {config.dead_after:,} steps ({config.dead_after * config.batch:,} rows). Try a smaller lr than"
                f" {trainer.lr:.2g}, fewer features, a larger k or more steps."
            )


def held_out_figures(found: Reconstruction) -> dict[str, float]:
    """A measurement as a row of metrics says it."""
    return {
        "fvu_held_out": found.fvu,
        "explained_variance": 1 - found.fvu,
        "l0_held_out": found.l0,
        "dead_share_held_out": float((found.fired == 0).double().mean()),
        "held_out_samples": found.rows,
    }


def require_same(
    directory: Path, config: Config, settings: dict[str, Any], wanted: dict[str, str], fingerprints: dict[str, str]
) -> None:
    """Raise BadInput where what lies in the directory was begun with other settings, model or dataset."""
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


def _average(recent: list[StepFigures]) -> dict[str, float]:
    """Means over the steps since the last row; learning rate and dead features as they are now."""
    parts = {name: float(np.mean([step.parts[name] for step in recent])) for name in recent[-1].parts}
    return {
        "loss": float(np.mean([step.loss for step in recent])),
        "fvu_train": float(np.mean([step.fvu for step in recent])),
        "l0": float(np.mean([step.l0 for step in recent])),
        "lr": recent[-1].lr,
        "dead": recent[-1].dead,
        "grad_norm": float(np.mean([step.grad_norm for step in recent])),
        **parts,
    }
