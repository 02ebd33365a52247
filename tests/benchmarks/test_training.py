from pathlib import Path

import numpy as np
import pytest

from benchmarks.training_claims import claims
from benchmarks.training_data import Planted, normalised, save, write_planted
from benchmarks.training_process import Task, Trainer, own, running
from benchmarks.training_quality import Run, Runs, equal_time, fvu, mean_best_cosine
from benchmarks.training_speed import LOUPE, ratio

SETTINGS = {"schedule": "decay", "threads": 1}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    directory = tmp_path_factory.mktemp("rows")
    write_planted(Planted(directions=64, width=16, active=2, rows=512), directory)
    return Task(directory, d_in=16, d_sae=64, k=4, batch=128, steps=12)


@pytest.fixture(scope="module")
def loupe() -> Trainer:
    return own("train_loupe.py")


def test_rows_are_about_the_training_mean_with_one_scale() -> None:
    rows = np.random.default_rng(0).normal(3, 5, (400, 6)).astype(np.float32)
    train, held_out = normalised(rows[:300], rows[300:])
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-5)
    assert np.square(train).sum(1).mean() == pytest.approx(6, rel=1e-5)
    scale = (train[1] - train[0]) / (rows[1] - rows[0])
    np.testing.assert_allclose((held_out[1] - held_out[0]) / (rows[301] - rows[300]), scale, rtol=1e-3)


def test_fvu_is_about_the_rows_own_mean() -> None:
    rows = np.array([[1.0, 0.0], [3.0, 0.0]], dtype=np.float32)
    assert fvu(rows, np.array([[2.0, 0.0], [2.0, 0.0]])) == pytest.approx(1)
    assert fvu(rows, np.array([[1.0, 0.0], [3.0, 1.0]])) == pytest.approx(0.5)


def test_a_decoder_that_holds_every_direction_has_cosine_one() -> None:
    directions = np.eye(4, dtype=np.float32)
    assert mean_best_cosine(directions, 3 * directions[::-1]) == pytest.approx(1)
    assert mean_best_cosine(directions, directions[:2]) == pytest.approx(0.5)


def test_loupe_trains_under_the_clock_and_rebuilds_held_out_rows(task: Task, loupe: Trainer) -> None:
    with running(loupe, task, lr=0.0, **SETTINGS) as process:
        process.peak.watch()
        held_out = np.load(task.data / "held_out.npy")
        before = fvu(held_out, process.rebuilt())
        assert process.step(11) > 0
        assert fvu(held_out, process.rebuilt()) < before
        assert process.rebuilt(10).shape == (10, 16) and process.decoder().shape == (64, 16)
        process.peak.stop()
        assert 0 < process.peak.bytes <= process.resident()


def test_every_trainer_is_given_the_same_rows(task: Task, loupe: Trainer) -> None:
    with (
        running(loupe, task, lr=0.0, **SETTINGS) as one,
        running(own("train_product.py"), task, lr=0.1, **SETTINGS) as other,
    ):
        assert one.order == other.order


def test_what_a_trainer_said_is_told_when_it_stops(task: Task, loupe: Trainer) -> None:
    with pytest.raises(RuntimeError, match="k is 100"), running(loupe, task._replace(k=100), lr=0.0, **SETTINGS):
        pass


def test_a_peers_finished_run_is_read_from_its_file_and_loupe_trains_anew(
    task: Task, loupe: Trainer, tmp_path: Path
) -> None:
    own, other = Run(LOUPE, "planted", 0.0, "preset", 12), Run("peer", "planted", 0.0, "preset", 12)
    path, versions = tmp_path / "runs.json", {"peer": {"peer": "1.0"}}
    runs = Runs(path, {LOUPE: loupe, "peer": loupe}, {"planted": task}, 1, versions)
    found = runs.result(own)
    assert [step for step, _ in found["curve"]][-1] == 12 and 0 < found["mean_best_cosine"] <= 1
    assert runs.result(other)["fvu"] == found["fvu"]
    assert list(Runs(path, {}, {}, 1, versions).kept) == [other.key]
    assert not Runs(path, {}, {}, 1, {"peer": {"peer": "1.1"}}).kept


def test_equal_time_gives_a_slower_trainer_fewer_steps(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs.json", {}, {}, 1, {})
    best = {LOUPE: Run(LOUPE, "small", 0.0, "preset", 200), "slow": Run("slow", "small", 0.1, "decay", 200)}
    runs.kept = {best[LOUPE].key: {"fvu": 0.1}, best["slow"]._replace(steps=50).key: {"fvu": 0.3}}
    found = equal_time(runs, best, {LOUPE: 0.1, "slow": 0.4}, 200)
    assert found["steps"] == {LOUPE: 200, "slow": 50} and found["fvu"] == {LOUPE: 0.1, "slow": 0.3}


def test_ratios_are_taken_within_a_round() -> None:
    assert ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0


def test_a_promise_that_is_missed_is_said_to_be() -> None:
    def speed(loupe_ms: float) -> dict[str, object]:
        ms = {
            LOUPE: loupe_ms,
            "sparsify (signum)": 300.0,
            "sparsify (adam)": 310.0,
            "dictionary_learning": 400.0,
            "saelens": 900.0,
        }
        return {
            "milliseconds": ms,
            "encode_products": {LOUPE: loupe_ms / 50},
            "seconds_of_each_round": {name: [value / 1000] for name, value in ms.items()},
            "peak_memory": {LOUPE: {"anonymous_gb": 0.4, "resident_gb": 0.5}},
        }

    names = ("sparsify (signum)", "sparsify (adam)", "dictionary_learning", "saelens")
    fvus = {LOUPE: 0.12, **dict.fromkeys(names, 0.13)}
    quality = {"equal_rows": {name: {"fvu": value} for name, value in fvus.items()}, "equal_time": {"fvu": fvus}}
    cosines = {name: {"mean_best_cosine": 0.95 if name == LOUPE else 0.8} for name in fvus}
    figures = {"speed": {"small": speed(100.0)}, "quality": {"small": quality}, "planted": {"best": cosines}}
    assert all(claim["holds"] for claim in claims(figures))
    figures["speed"] = {"small": speed(150.0)}
    missed = {claim["what"] for claim in claims(figures) if not claim["holds"]}
    assert missed == {"small: one step, encode products", "small: times the rows/s of sparsify (signum)"}


def test_saved_rows_are_read_back(tmp_path: Path) -> None:
    rows = np.ones((3, 2), dtype=np.float32)
    save(tmp_path / "new", rows, 2 * rows)
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "held_out.npy"), 2 * rows)
