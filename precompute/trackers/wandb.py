"""Weights & Biases: offline files under `<directory>/wandb`, unless WANDB_MODE says online."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loaders.workspace import slug
from precompute.trackers.tracker import FINAL, import_extra
from precompute.trackers.wandb_file import history_steps

LONGEST_ID = 128
DONE = 0


class WeightsAndBiases:
    """Settings as config, metrics at their steps, final metrics in the summary as `final/...`.

    The project is WANDB_PROJECT, else `loupe`. Each part of a run that was resumed offline is a file of its own with the
    same run id; `wandb sync` puts them together. W&B writes in a process of its own: of a run killed outright the rows of
    the last moments may be missing. Neither console output nor code nor the machine's figures are recorded.
    """

    name = "wandb"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._wandb = import_extra("wandb", self.name)

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        self._directory.mkdir(parents=True, exist_ok=True)
        run, mode = slug(run_id)[-LONGEST_ID:], os.environ.get("WANDB_MODE") or "offline"
        before = self._last_step(run)
        quiet = self._wandb.Settings(
            silent=True, console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True, disable_code=True
        )
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "loupe",
            id=run,
            name=name,
            config=dict(config),
            dir=str(self._directory),
            mode=mode,
            resume="allow" if mode == "online" else None,  # offline there is nobody to ask; the id alone decides
            reinit="create_new",
            settings=quiet,
        )
        return max(before, int(self._run.starting_step) - 1, 0)

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        self._run.summary.update({"status": status, **{FINAL + key: value for key, value in summary.items()}})
        self._run.finish(exit_code=DONE if status == "done" else 1)

    def _last_step(self, run: str) -> int:
        """The largest step in the offline files of that run."""
        files = sorted((self._directory / "wandb").glob(f"offline-run-*-{run}/run-{run}.wandb"))
        return max((step for file in files for step in history_steps(file)), default=0)
