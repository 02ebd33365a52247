"""What each trainer reaches: held-out FVU after equal rows and over time, and a planted dictionary recovered.

Every peer runs at four learning rates and the best is kept; Loupe runs as its presets have it. The peers' finished runs are
kept in a file, so that a benchmark that was stopped goes on where it was."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.training_process import Task, Trainer, running
from benchmarks.training_speed import LOUPE, SAELENS

PEERS = ("sparsify (signum)", "sparsify (adam)", "dictionary_learning", SAELENS)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
CURVE_ROWS = 2_048  # held-out rows measured along the way; the final figure is over all of them
CURVE_SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # of the run, where it is measured along the way


class Run(NamedTuple):
    """One training run: who, what, and at which settings."""

    trainer: str
    task: str
    lr: float
    schedule: str
    steps: int
    seed: int = 0

    @property
    def key(self) -> str:
        return f"{self.task}/{self.trainer}/{self.schedule}/lr {self.lr:g}/{self.steps} steps/seed {self.seed}"


class Runs:
    """Results of runs, the peers' kept in a JSON file by the run's settings while their `versions` are the same.

    Loupe trains anew each time, as its code may be another.
    """

    def __init__(
        self,
        path: Path,
        trainers: dict[str, Trainer],
        tasks: dict[str, Task],
        threads: int,
        versions: dict[str, dict[str, str]],
    ) -> None:
        self.path, self.trainers, self.tasks, self.threads, self.versions = path, trainers, tasks, threads, versions
        found = json.loads(path.read_text()) if path.is_file() else {}
        self.kept: dict[str, Any] = found["runs"] if found.get("peers") == versions else {}

    def result(self, run: Run) -> dict[str, Any]:
        """The run's figures, from the file or by training now."""
        if run.key not in self.kept:
            print(f"training {run.key}", flush=True)
            self.kept[run.key] = self._train(run)
            peers = {key: figures for key, figures in self.kept.items() if key.split("/")[1] != LOUPE}
            self.path.write_text(json.dumps({"peers": self.versions, "runs": peers}, indent=1) + "\n")
        return dict(self.kept[run.key])

    def best(self, runs: Iterable[Run], figure: str, highest: bool = False) -> tuple[Run, dict[str, Any]]:
        """The run with the lowest, or highest, figure."""
        found = [(run, self.result(run)) for run in runs]
        return (max if highest else min)(found, key=lambda pair: pair[1][figure])

    def _train(self, run: Run) -> dict[str, Any]:
        task = self.tasks[run.task]._replace(steps=run.steps)
        held_out = np.load(task.data / "held_out.npy")
        settings = {"lr": run.lr, "schedule": run.schedule, "seed": run.seed, "threads": self.threads}
        stops = sorted({max(round(share * task.steps), 1) for share in CURVE_SHARES} - {task.steps})
        curve, done, seconds = [], 0, 0.0
        with running(self.trainers[run.trainer], task, **settings) as process:
            for stop in stops:
                seconds += process.step(stop - done)
                done = stop
                curve.append([done, fvu(held_out[:CURVE_ROWS], process.rebuilt(CURVE_ROWS))])
            seconds += process.step(task.steps - done)
            rebuilt, decoder = process.rebuilt(), process.decoder()
        curve.append([task.steps, fvu(held_out[:CURVE_ROWS], rebuilt[:CURVE_ROWS])])
        figures = {"fvu": fvu(held_out, rebuilt), "curve": curve, "seconds": round(seconds, 2)}
        directions = task.data / "directions.npy"
        if directions.is_file():
            figures["mean_best_cosine"] = mean_best_cosine(np.load(directions), decoder)
        return figures


def measure_fvu(runs: Runs, task: str, speed: dict[str, Any] | None) -> dict[str, Any]:
    """Held-out FVU of everyone after the task's steps, of the peers at every rate, and over time where speed is known.

    Peers decay their rate linearly to zero after a warm-up (sparsify's signum has no schedule); the best rate is also run
    with the schedule that the package has by default, if that is another, and the better one counts.
    """
    steps = runs.tasks[task].steps
    found: dict[str, Any] = {}
    best: dict[str, Run] = {LOUPE: Run(LOUPE, task, 0.0, "preset", steps)}
    for peer in PEERS:
        swept = [Run(peer, task, lr, "decay", steps) for lr in RATES]
        run, _ = runs.best(swept, "fvu")
        if peer in ("dictionary_learning", SAELENS):
            run, _ = runs.best([run, run._replace(schedule="constant")], "fvu")
        best[peer] = run
        found[peer] = {f"lr {one.lr:g}": round(runs.result(one)["fvu"], 4) for one in swept}
    equal_rows = {
        name: {"fvu": round(runs.result(run)["fvu"], 4), "lr": run.lr, "schedule": run.schedule}
        for name, run in best.items()
    }
    figures = {"steps": steps, "equal_rows": equal_rows, "rates": found}
    if speed:
        seconds = {name: speed["milliseconds"][name] / 1000 for name in best}
        figures["over_time"] = {
            name: [[round(step * seconds[name], 2), round(value, 4)] for step, value in runs.result(run)["curve"]]
            for name, run in best.items()
        }
        figures["equal_time"] = equal_time(runs, best, seconds, steps)
    return figures


def equal_time(runs: Runs, best: dict[str, Run], seconds: dict[str, float], steps: int) -> dict[str, Any]:
    """Everyone's FVU within the time that Loupe takes for the task: as many steps as fit, the schedule fitted to them."""
    given = steps * seconds[LOUPE]
    fitted = {
        name: run._replace(steps=max(int(given / seconds[name]), 1)) for name, run in best.items() if name != LOUPE
    }
    fitted[LOUPE] = best[LOUPE]
    return {
        "seconds": round(given, 2),
        "fvu": {name: round(runs.result(run)["fvu"], 4) for name, run in fitted.items()},
        "steps": {name: run.steps for name, run in fitted.items()},
    }


def measure_planted(runs: Runs, task: str) -> dict[str, Any]:
    """Mean best cosine of the true directions to everyone's decoder, the peers at their best rate."""
    steps = runs.tasks[task].steps
    found, rates = {}, {}
    for name, lrs in {LOUPE: (0.0,), **dict.fromkeys(PEERS, RATES)}.items():
        swept = [Run(name, task, lr, "preset" if name == LOUPE else "decay", steps) for lr in lrs]
        run, figures = runs.best(swept, "mean_best_cosine", highest=True)
        found[name] = {"mean_best_cosine": round(figures["mean_best_cosine"], 4), "lr": run.lr, "fvu": figures["fvu"]}
        rates[name] = {f"lr {one.lr:g}": round(runs.result(one)["mean_best_cosine"], 4) for one in swept}
    sizes = {key: value for key, value in runs.tasks[task]._asdict().items() if key != "data"}
    return {**sizes, "best": found, "rates": rates}


def fvu(rows: np.ndarray, rebuilt: np.ndarray) -> float:
    """Squared residuals over squared deviations of the rows from their own mean, in float64."""
    residual = np.square(rebuilt - rows).sum(dtype=np.float64)
    return float(residual / np.square(rows - rows.mean(0, dtype=np.float64)).sum(dtype=np.float64))


def mean_best_cosine(directions: np.ndarray, decoder: np.ndarray) -> float:
    """Mean over true unit directions [n, d] of the largest cosine with any row of a decoder [d_sae, d]."""
    lengths = np.maximum(np.linalg.norm(decoder, axis=1, keepdims=True), 1e-12)
    return float((directions @ (decoder / lengths).T).max(1).mean())
