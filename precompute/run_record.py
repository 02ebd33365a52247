"""A training run's row in the catalog, kept up to date while it trains and closed whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from catalog.catalog import Catalog
from catalog.runs import finish_run, start_run, update_run
from precompute.train_config import Config, run_id


class RunRecord:
    """Remembers the newest value of every metric and tells the catalog, where there is one."""

    def __init__(self, catalog: Catalog | None, run: str) -> None:
        self.catalog, self.run = catalog, run
        self.metrics: dict[str, Any] = {}
        self.failure: str | None = None
        self.is_complete = False  # its SAE is written; what fails later is another run's

    def update(self, step: int, metrics: dict[str, Any], is_logged: bool = False) -> None:
        """`is_logged`: these metrics are a row of metrics.jsonl, which the catalog keeps too."""
        self.metrics = {**self.metrics, **metrics}
        if self.catalog:
            update_run(self.catalog, self.run, step, self.metrics, row=metrics if is_logged else None)

    def fail(self, message: str) -> None:
        """Let the run end as failed, whatever becomes of those that are trained with it."""
        self.failure = message


@contextmanager
def recorded_run(config: Config, catalog: Catalog | None) -> Iterator[RunRecord]:
    """Start the run in the catalog, and end it there as done, failed (with the error's sentence) or stopped."""
    record = RunRecord(catalog, run_id(config))
    if catalog:
        start_run(catalog, record.run, config.sae_id, asdict(config), total_steps=config.steps)
    status, message = "stopped", None
    try:
        yield record
        status = "done"
    except Exception as error:
        status, message = "failed", str(error)
        raise
    finally:
        if record.failure is not None:
            status, message = "failed", record.failure
        elif record.is_complete:
            status, message = "done", None
        if catalog:
            finish_run(catalog, record.run, status, record.metrics, error_message=message)
