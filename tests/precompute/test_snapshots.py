"""Snapshots of a run as they are written: at which steps, in which units, and never half."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from precompute.snapshots import BLOCK_ROWS, log_spaced, write_snapshot


def test_snapshots_stand_at_one_two_five_of_each_power_of_ten_and_at_the_end() -> None:
    assert log_spaced(300) == [1, 2, 5, 10, 20, 50, 100, 200, 300]
    assert log_spaced(200) == [1, 2, 5, 10, 20, 50, 100, 200]
    assert log_spaced(1) == [1] and log_spaced(0) == []


@given(st.integers(1, 10**9))
def test_the_steps_ascend_end_with_the_last_and_are_few(steps: int) -> None:
    found = log_spaced(steps)
    assert found == sorted(set(found)) and found[-1] == steps and len(found) <= 29


def test_a_snapshot_holds_unit_rows_densities_and_what_was_measured(tmp_path: Path) -> None:
    w_dec = torch.randn(BLOCK_ROWS + 3, 4, generator=torch.Generator().manual_seed(0)) * 7
    w_dec[1] = 0
    density, fired = torch.rand(len(w_dec)), torch.arange(len(w_dec)) % 21
    path = write_snapshot(tmp_path, 20, w_dec.bfloat16(), density, fired, 8_192, 0.25, 100)
    assert path == tmp_path / "snapshots" / "step_00000020.safetensors"
    with safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"step": "20", "rows": "8192", "fvu": "0.25", "dead_after": "100"}
        written = {name: file.get_tensor(name) for name in ("w_dec", "density", "last_fired")}
    assert written["w_dec"].dtype == np.float16 and not written["w_dec"][1].any()
    norm = np.linalg.norm(np.delete(written["w_dec"], 1, axis=0).astype(np.float32), axis=1)
    np.testing.assert_allclose(norm, 1, atol=1e-3)
    direction = torch.nn.functional.normalize(w_dec, dim=1).numpy()
    np.testing.assert_allclose(written["w_dec"][-1], direction[-1], atol=5e-3)
    np.testing.assert_array_equal(written["density"], density.numpy())
    np.testing.assert_array_equal(written["last_fired"], fired.numpy())


def test_writing_a_step_again_replaces_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for fvu in (0.5, 0.25):
        write_snapshot(tmp_path, 1, np.eye(3), np.zeros(3), np.zeros(3, np.int64), 10, fvu, 5)
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["step_00000001.safetensors"]


def test_parts_of_different_saes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 decoder rows"):
        write_snapshot(tmp_path, 1, np.eye(3), np.zeros(2), np.zeros(3, np.int64), 10, 0.5, 5)
    assert not (tmp_path / "snapshots").exists()
