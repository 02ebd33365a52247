"""MLflow: the server that MLFLOW_TRACKING_URI names, else `<directory>/mlflow.db` (SQLite)."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loaders.workspace import slug
from precompute.trackers.tracker import FINAL, import_extra

STATUSES = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
RUN_TAG = "loupe.run"
MOST_PARAMS = 100  # that MLflow takes at once
LONGEST_PARAM = 6000  # characters


class MLflow:
    """Settings as params, metrics at their steps, final metrics as `final/...`; a run is found again by its tag.

    The experiment is MLFLOW_EXPERIMENT_NAME, else `loupe`. MLflow's own usage statistics are off unless
    MLFLOW_DISABLE_TELEMETRY says otherwise.
    """

    name = "mlflow"

    def __init__(self, directory: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._directory = directory
        self._entities = import_extra("mlflow.entities", self.name)
        self._tracking = import_extra("mlflow.tracking", self.name)
        import_extra("alembic", self.name)  # MLflow's SQLite store needs it and its small package does not bring it
        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)

    def start(self, run_id: str, name: str, config: Mapping[str, Any]) -> int:
        address, artifacts = os.environ.get("MLFLOW_TRACKING_URI"), None
        if not address:
            self._directory.mkdir(parents=True, exist_ok=True)
            address = f"sqlite:///{self._directory / 'mlflow.db'}"
            artifacts = (self._directory / "mlflow").absolute().as_uri()
        self._client = self._tracking.MlflowClient(tracking_uri=address)
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "loupe"
        known = self._client.get_experiment_by_name(wanted)
        experiment = known.experiment_id if known else self._client.create_experiment(wanted, artifacts)
        tag = slug(run_id)
        runs = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{tag}'", max_results=1)
        if runs:
            self._run = runs[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
            self._last = self._last_step()
            return self._last
        self._run = self._client.create_run(experiment, run_name=name, tags={RUN_TAG: tag}).info.run_id
        params = [self._entities.Param(key, str(value)[:LONGEST_PARAM]) for key, value in config.items()]
        for first in range(0, len(params), MOST_PARAMS):
            self._client.log_batch(self._run, params=params[first : first + MOST_PARAMS])
        self._last = 0
        return 0

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        now = int(time.time() * 1000)
        rows = [self._entities.Metric(key, value, now, step) for key, value in metrics.items()]
        self._client.log_batch(self._run, metrics=rows)
        self._last = step

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        self.log(self._last, {FINAL + key: value for key, value in summary.items()})
        self._client.set_terminated(self._run, STATUSES[status])

    def _last_step(self) -> int:
        names = [key for key in self._client.get_run(self._run).data.metrics if not key.startswith(FINAL)]
        histories = (self._client.get_metric_history(self._run, key) for key in names)
        return max((row.step for history in histories for row in history), default=0)
