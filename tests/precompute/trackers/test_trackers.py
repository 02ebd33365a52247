"""What is handed to a tracker is in the tool's own store afterwards, as its own reader reads it, each step once."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders.errors import BadInput
from precompute.trackers import TRACKERS, make_trackers, replay
from precompute.trackers.wandb_file import read_records

RUN = "minilm-l3-1a2b3c4d"
SETTINGS = {"k": 32, "hook": "encoder.layer.3", "steps": 50, "trackers": ("wandb",), "lr": 4e-3}
NEEDED = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "alembic"), "wandb": ("wandb",)}


@pytest.fixture(autouse=True)
def own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the surroundings sends the runs elsewhere."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def skip_without(name: str) -> None:
    missing = [module for module in NEEDED[name] if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"the extra '{name}' is not installed")


@pytest.fixture(scope="module")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take MLflow seconds to make."""
    skip_without("mlflow")
    directory = tmp_path_factory.mktemp("mlflow")
    (tracker,) = make_trackers(("mlflow",), directory)
    tracker.start("other", "another run", {})
    tracker.finish("done", {})
    return directory / "mlflow.db"


@pytest.fixture(params=sorted(TRACKERS))
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    skip_without(request.param)
    if request.param == "mlflow":
        shutil.copy(request.getfixturevalue("empty_mlflow"), tmp_path / "mlflow.db")
    return str(request.param)


def row(step: int) -> dict[str, Any]:
    return {"loss": 1 / step, "dead": step // 10, "fvu held-out": np.float32(0.5), "histogram": [1, 2], "note": "x"}


def write(name: str, directory: Path, steps: range, status: str = "done") -> int:
    """Log every step of a range as one part of the run; returns the step that the tracker went on from."""
    (tracker,) = make_trackers((name,), directory)
    before = tracker.start(RUN, "minilm-l3", SETTINGS)
    for step in steps:
        tracker.log(step, row(step))
    tracker.finish(status, {"fvu": 0.125})
    settle(name)
    return before


def settle(name: str) -> None:
    """W&B's own process puts a run's last records on the disk a moment after the run was finished: wait for its end."""
    if name == "wandb":
        import wandb

        wandb.teardown()


def read_tensorboard(directory: Path) -> dict[str, Any]:
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

    (folder,) = (directory / "tensorboard").iterdir()
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, TENSORS: 0}).Reload()

    def text(tag: str) -> dict[str, Any]:
        written = [event.tensor_proto.string_val[0].decode() for event in events.Tensors(f"{tag}/text_summary")]
        return dict(json.loads(written[-1]))

    curves = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    final = text("final")
    assert len(events.Tensors("config/text_summary")) == 1
    return {
        "curves": curves,
        "config": text("config"),
        "status": final.pop("status"),
        "final": final,
        "id": folder.name,
    }


def read_mlflow(directory: Path) -> dict[str, Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{directory / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("loupe").experiment_id])
    (run,) = [each for each in found if each.info.run_name == "minilm-l3"]
    history = {
        tag: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, tag)] for tag in run.data.metrics
    }
    final = {key.removeprefix("final/"): history.pop(key)[-1][1] for key in list(history) if key.startswith("final/")}
    status = {"FINISHED": "done", "FAILED": "failed", "KILLED": "stopped"}[run.info.status]
    return {
        "curves": history,
        "config": run.data.params,
        "status": status,
        "final": final,
        "id": run.data.tags["loupe.run"],
    }


def read_wandb(directory: Path) -> dict[str, Any]:
    curves: dict[str, list[tuple[int, float]]] = {}
    found: dict[str, Any] = {"curves": curves, "final": {}}
    ids = set()
    for file in sorted((directory / "wandb").glob("offline-run-*/run-*.wandb")):
        for record in read_records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                ids.add(record.run.run_id)
                found["config"] = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                values = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                for key in values.keys() - {"_step", "_timestamp", "_runtime"}:
                    curves.setdefault(key, []).append((values["_step"], values[key]))
            elif kind == "summary":
                for item in record.summary.update:
                    key = item.key or item.nested_key[0]
                    if key.startswith("final/"):
                        found["final"][key.removeprefix("final/")] = json.loads(item.value_json)
                    elif key == "status":
                        found["status"] = json.loads(item.value_json)
            elif kind == "exit":
                assert (record.exit.exit_code == 0) == (found["status"] == "done")
    (found["id"],) = ids
    return found


READERS = {"tensorboard": read_tensorboard, "mlflow": read_mlflow, "wandb": read_wandb}


def as_read(steps: range) -> dict[str, list[tuple[int, float]]]:
    return {
        "loss": [(step, pytest.approx(1 / step, rel=1e-6)) for step in steps],
        "dead": [(step, step // 10) for step in steps],
        "fvu held-out": [(step, 0.5) for step in steps],
    }


def test_a_run_is_read_back_by_the_tools_own_reader(name: str, tmp_path: Path) -> None:
    assert write(name, tmp_path, range(10, 60, 10)) == 0
    found = READERS[name](tmp_path)
    assert found["curves"] == as_read(range(10, 60, 10))
    assert found["id"] == RUN and found["status"] == "done" and found["final"] == {"fvu": 0.125}
    assert str(found["config"]["k"]) == "32" and found["config"]["hook"] == "encoder.layer.3"


def test_a_resumed_run_goes_on_in_the_same_run_and_repeats_no_step(name: str, tmp_path: Path) -> None:
    write(name, tmp_path, range(10, 40, 10), status="stopped")
    assert READERS[name](tmp_path)["status"] == "stopped"
    assert write(name, tmp_path, range(20, 60, 10)) == 30  # its checkpoint was older than its last row
    found = READERS[name](tmp_path)
    assert found["curves"] == as_read(range(10, 60, 10)) and found["status"] == "done" and found["id"] == RUN


def test_a_killed_run_goes_on_and_repeats_no_step(name: str, tmp_path: Path) -> None:
    died = subprocess.run(
        [sys.executable, __file__, name, str(tmp_path)], env={**os.environ, "PYTHONPATH": os.getcwd()}, timeout=60
    )
    assert died.returncode == -signal.SIGKILL
    before = write(name, tmp_path, range(20, 60, 10))
    curve = READERS[name](tmp_path)["curves"]["loss"]
    if name == "wandb":  # its own process holds rows back for a moment; what was not on the disk is lost with it
        assert [step for step, _ in curve] == [*range(10, before + 10, 10), *range(max(before + 10, 20), 60, 10)]
    else:
        assert before == 30 and curve == as_read(range(10, 60, 10))["loss"]


def test_a_tracker_that_joins_a_resumed_run_gets_its_rows_too_and_none_twice(name: str, tmp_path: Path) -> None:
    rows = [
        {"step": step, **{key: value for key, value in row(step).items() if key != "fvu held-out"}} for step in (1, 2)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tracker,) = make_trackers((name,), tmp_path)
    tracker.start(RUN, "minilm-l3", SETTINGS)
    for _ in range(2):
        replay(tmp_path / "metrics.jsonl", [tracker])
    tracker.log(3, row(3))
    tracker.finish("done", {})
    settle(name)
    assert READERS[name](tmp_path)["curves"]["loss"] == as_read(range(1, 4))["loss"]


def test_a_failed_run_says_so(name: str, tmp_path: Path) -> None:
    write(name, tmp_path, range(1, 3), status="failed")
    assert READERS[name](tmp_path)["status"] == "failed"


def test_runs_that_train_together_do_not_mix(name: str, tmp_path: Path) -> None:
    one, other = make_trackers((name,), tmp_path)[0], make_trackers((name,), tmp_path)[0]
    assert one.start(RUN, "minilm-l3", SETTINGS) == other.start("another", "another", {}) == 0
    for step in range(1, 6):
        one.log(step, row(step))
        other.log(step, {"loss": 100.0})
    other.finish("failed", {})
    one.finish("done", {"fvu": 0.125})
    settle(name)
    for folder in [*tmp_path.glob("tensorboard/another"), *tmp_path.glob("wandb/offline-run-*-another")]:
        shutil.rmtree(folder)
    assert READERS[name](tmp_path)["curves"] == as_read(range(1, 6)) and READERS[name](tmp_path)["status"] == "done"


def test_mlflow_goes_where_its_variables_say(
    empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    shutil.copy(empty_mlflow, tmp_path / "elsewhere.db")
    address = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    write("mlflow", tmp_path / "workspace", range(1, 3))
    client = MlflowClient(tracking_uri=address)
    assert len(client.search_runs([client.get_experiment_by_name("mine").experiment_id])) == 1
    assert not (tmp_path / "workspace").exists()


def test_wandb_mode_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without("wandb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    write("wandb", tmp_path, range(1, 3))
    assert not list(tmp_path.rglob("*.wandb"))


def test_long_records_of_wandb_are_read_across_blocks_and_torn_ones_end_the_reading(tmp_path: Path) -> None:
    skip_without("wandb")
    (tracker,) = make_trackers(("wandb",), tmp_path)
    tracker.start(RUN, "x", {"long": "a" * 40_000})
    for step in range(1, 400):
        tracker.log(step, row(step))
    tracker.finish("done", {})
    settle("wandb")
    (file,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    found = read_wandb(tmp_path)
    assert found["curves"] == as_read(range(1, 400)) and found["config"]["long"] == "a" * 40_000
    whole = file.read_bytes()
    for rest in (whole[: len(whole) // 2], whole[:60_000] + b"\0" + whole[60_001:], b"", b"something else"):
        file.write_bytes(rest)
        assert len(list(read_records(file))) < 800


def test_a_tracker_whose_store_vanishes_does_not_stop_the_run(
    empty_mlflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    (tracker,) = make_trackers(("mlflow",), tmp_path)
    tracker.start(RUN, "x", SETTINGS)
    tracker.log(1, row(1))
    for part in tmp_path.glob("mlflow.db*"):
        part.write_bytes(b"this is no database" * 100)
    for step in range(2, 6):
        tracker.log(step, row(step))
    tracker.finish("done", {})
    assert capsys.readouterr().err.count("loupe: tracker 'mlflow' failed at step 2") == 1


def test_unknown_and_missing_trackers_are_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=r"'comet' is unknown. Choose from mlflow, tensorboard, wandb, local\."):
        make_trackers(("tensorboard", "comet"), tmp_path)
    for name, modules in NEEDED.items():
        for module in [each for each in sys.modules if each.startswith(f"{modules[-1]}.")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, modules[-1], None)
        with pytest.raises(BadInput, match=rf"Run `pip install -e '\.\[{name}\]'`\.") as caught:
            make_trackers((name,), tmp_path)
        assert "\n" not in str(caught.value)


if __name__ == "__main__":
    (doomed,) = make_trackers((sys.argv[1],), Path(sys.argv[2]))
    doomed.start(RUN, "minilm-l3", SETTINGS)
    for number in range(10, 40, 10):
        doomed.log(number, row(number))
    os.kill(os.getpid(), signal.SIGKILL)
