"""The local tracker is what every run has."""

import json
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.runs import runs
from precompute.metrics_file import MetricsFile
from precompute.run_record import RunRecord, recorded_run
from precompute.trackers import Local, make_trackers
from precompute.train_config import Config


def test_the_local_tracker_writes_metrics_file_and_catalog(tmp_path: Path) -> None:
    config = Config("minilm-l3", "minilm", "docs", "encoder.layer.3")
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    with recorded_run(config, catalog) as record:
        assert isinstance(record, RunRecord)
        tracker = Local(MetricsFile(tmp_path / "metrics.jsonl", 0), record)
        assert tracker.start(record.run, config.sae_id, {}) == 0
        tracker.log(10, {"loss": 0.5})
        tracker.finish("done", {})
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (run,) = runs(catalog)
    assert rows == [{"step": 10, "loss": 0.5}] and run.latest_metrics == rows[0] and run.step == 10
    catalog.close()


def test_local_is_always_on_and_a_name_given_twice_makes_one_tracker(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert make_trackers(("local",), tmp_path) == []
    assert [each.name for each in make_trackers(("tensorboard", "local", "tensorboard"), tmp_path)] == ["tensorboard"]
