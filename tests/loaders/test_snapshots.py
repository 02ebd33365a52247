"""Snapshots of a run as they are read: features over the steps, and torn or hostile files refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from loaders.errors import FeatureNotFound, StoreDamaged, StoreNotFound
from loaders.snapshots import (
    BLOCK_ROWS,
    Snapshot,
    open_snapshot,
    read_snapshots,
    read_trajectory,
    snapshot_name,
    snapshot_steps,
)
from precompute.snapshots import write_snapshot

STEPS = (1, 2, 10)


@pytest.fixture
def sae_dir(tmp_path: Path) -> Path:
    """Three snapshots of 5 features of width 4; feature f fires last at step min(f, step)."""
    for step in STEPS:
        generator = np.random.default_rng(step)
        fired = np.minimum(np.arange(5), step)
        write_snapshot(tmp_path, step, generator.normal(size=(5, 4)), generator.random(5), fired, 100, 1 / step, 4)
    return tmp_path


def test_steps_are_listed_in_order_and_other_files_passed_over(sae_dir: Path) -> None:
    for name in ("step_00000005.safetensors.tmp", "notes.txt", "step_5.safetensors"):
        (sae_dir / "snapshots" / name).write_bytes(b"")
    assert snapshot_steps(sae_dir) == [1, 2, 10]
    assert snapshot_steps(sae_dir / "nobody") == []


def test_a_feature_is_followed_over_the_steps(sae_dir: Path) -> None:
    snapshots = read_snapshots(sae_dir).snapshots
    found = read_trajectory(snapshots, 3)
    assert found.step.tolist() == [1, 2, 10] and found.last_fired.tolist() == [1, 2, 3]
    for place, step in enumerate(STEPS):
        generator = np.random.default_rng(step)
        row, density = generator.normal(size=(5, 4))[3], generator.random(5)[3]
        np.testing.assert_allclose(found.direction[place], row / np.linalg.norm(row), atol=1e-3)
        assert found.density[place] == np.float32(density)
    assert [snapshot.fvu for snapshot in snapshots] == [1.0, 0.5, 0.1] and snapshots[0].rows == 100


def test_a_feature_is_dead_once_it_did_not_fire_in_the_last_dead_after_steps(sae_dir: Path) -> None:
    assert not open_snapshot(sae_dir, 2).is_dead.any()  # two steps cannot hold four silent ones
    assert open_snapshot(sae_dir, 10).is_dead.all()  # the last firing was at step 4
    write_snapshot(sae_dir, 8, np.eye(5), np.zeros(5), np.array([0, 4, 5, 8, 8]), 100, 0.5, 4)
    assert open_snapshot(sae_dir, 8).is_dead.tolist() == [True, True, False, False, False]


def test_all_rows_come_in_blocks(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(BLOCK_ROWS + 5, 2))
    zeros = np.zeros(len(rows))
    write_snapshot(tmp_path, 1, rows, zeros, zeros, 100, 1.0, 4)
    blocks = list(open_snapshot(tmp_path, 1).blocks())
    assert [(start, len(block)) for start, block in blocks] == [(0, BLOCK_ROWS), (BLOCK_ROWS, 5)]
    np.testing.assert_allclose(blocks[1][1][-1], rows[-1] / np.linalg.norm(rows[-1]), atol=1e-3)


def test_what_is_not_there_is_said(sae_dir: Path) -> None:
    with pytest.raises(StoreNotFound, match="step_00000003"):
        open_snapshot(sae_dir, 3)
    with pytest.raises(FeatureNotFound, match="features 0 to 4"):
        open_snapshot(sae_dir, 1).direction(5)
    with pytest.raises(FeatureNotFound):
        open_snapshot(sae_dir, 1).direction(-1)


@given(st.integers(0, 400))
def test_a_torn_file_is_refused_wherever_it_ends(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("torn")
    path = write_snapshot(folder, 1, np.eye(5), np.zeros(5), np.zeros(5), 100, 1.0, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(length, len(whole) - 1)])
    with pytest.raises(StoreDamaged, match=r"damaged: .* Delete it"):
        open_snapshot(folder, 1)


GOOD = {"w_dec": np.ones((3, 2), np.float16), "density": np.zeros(3, np.float32), "last_fired": np.zeros(3, np.int64)}
FACTS = {"step": "7", "rows": "100", "fvu": "0.5", "dead_after": "4"}


@pytest.mark.parametrize(
    ("tensors", "facts"),
    [
        ({"w_dec": np.ones((3, 2), np.float32)}, {}),
        ({"w_dec": np.ones(3, np.float16)}, {}),
        ({"w_dec": np.ones((4, 2), np.float16)}, {}),
        ({"density": np.zeros((3, 1), np.float32)}, {}),
        ({"extra": np.zeros(3, np.float32)}, {}),
        ({}, {"step": "8"}),
        ({}, {"step": "x"}),
        ({}, {"rows": "0"}),
        ({}, {"dead_after": "9" * 40}),
        ({}, {"fvu": "little"}),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], facts: dict[str, str]
) -> None:
    path = tmp_path / "snapshots" / snapshot_name(7)
    path.parent.mkdir()
    save_file({**GOOD, **tensors}, path, metadata={**FACTS, **facts})
    with pytest.raises(StoreDamaged, match="Delete it"):
        Snapshot.open(path)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("density", np.array([0, 0.5, 1.5], np.float32), lambda snapshot: snapshot.density),
        ("density", np.array([0, 0.5, np.nan], np.float32), lambda snapshot: snapshot.density),
        ("last_fired", np.array([0, 1, 8]), lambda snapshot: snapshot.last_fired),
        ("w_dec", np.full((3, 2), np.inf, np.float16), lambda snapshot: snapshot.direction(1)),
        ("w_dec", np.full((3, 2), np.nan, np.float16), lambda snapshot: list(snapshot.blocks())),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, name: str, value: np.ndarray, read) -> None:
    path = tmp_path / "snapshots" / snapshot_name(7)
    path.parent.mkdir()
    save_file({**GOOD, name: value}, path, metadata=FACTS)
    with pytest.raises(StoreDamaged, match="Delete it"):
        read(Snapshot.open(path))


def test_snapshots_of_another_sae_and_torn_ones_are_named_and_the_others_read(sae_dir: Path) -> None:
    write_snapshot(sae_dir, 5, np.eye(6), np.zeros(6), np.zeros(6), 100, 0.1, 4)
    (sae_dir / "snapshots" / snapshot_name(2)).write_bytes(b"half")
    found = read_snapshots(sae_dir)
    assert [snapshot.step for snapshot in found.snapshots] == [1, 10]
    assert len(found.damaged) == 2 and "step_00000002" in found.damaged[0]
    assert "6 features of width 6, that of step 10 5 of 4" in found.damaged[1]
    assert read_snapshots(sae_dir / "nobody") == ([], [])
