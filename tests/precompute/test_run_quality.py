"""Every check of a run passes on a sound SAE, and fails on one that is unsound in just that way."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from catalog.catalog import Catalog
from catalog.runs import runs, start_run
from loaders.errors import StoreNotFound
from loaders.faults import FOREIGN
from loaders.store import Store
from loaders.workspace import Workspace
from precompute.loss_recovered import LossRecovered, keep
from precompute.run_bounds import Bounds
from precompute.run_quality import Check, check_run
from precompute.snapshots import write_snapshot

SAE = "tiny-l0"
NAMES = [
    "fvu",
    "dead_share",
    "frequent_share",
    "dense_share",
    "rare_share",
    "firings",
    "loss_recovered",
    "weights",
    "export",
]
LOOSE = Bounds(max_fvu=0.9, max_dead_share=0.9, max_rare_share=0.9)


@pytest.fixture
def copy(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of its own with the SAE alone, without its snapshots."""
    shutil.copytree(workspace.sae_dir(SAE), tmp_path / "saes" / SAE, ignore=shutil.ignore_patterns("snapshots"))
    return Workspace(tmp_path)


def checks(workspace: Workspace, bounds: Bounds = LOOSE) -> dict[str, Check]:
    return {check.name: check for check in check_run(workspace, SAE, bounds).checks}


def edit(workspace: Workspace, **quality: object) -> None:
    path = workspace.sae_dir(SAE) / "cfg.json"
    cfg = json.loads(path.read_text())
    cfg["metadata"]["quality"] |= quality
    path.write_text(json.dumps(cfg))


def test_a_sound_run_passes_every_check_that_can_be_told(workspace: Workspace, store: Store) -> None:
    report = check_run(workspace, SAE, LOOSE)
    assert [check.name for check in report.checks] == NAMES and report.failed == []
    found = {check.name: check for check in report.checks}
    quality = store.manifest["quality"]
    density = store.stats()["density"].to_numpy()
    assert found["fvu"].figure == quality["fvu"] and f"{quality['held_out_samples']:,}" in found["fvu"].detail
    assert found["dead_share"].figure == quality["dead_share"] == (density == 0).mean()
    assert (
        found["rare_share"].figure == (density < 1e-5).mean()
        and f"{store.samples:,} samples" in found["rare_share"].detail
    )
    assert found["firings"].figure == 150 * 512 * 8 / 128
    assert found["frequent_share"].passed is None and "mean density is 6.25%" in found["frequent_share"].detail
    assert found["weights"].passed and found["export"].passed and "captured rows" in found["export"].detail
    assert found["loss_recovered"].passed is None and "loupe loss-recovered" in found["loss_recovered"].detail


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("fvu", {"max_fvu": 1e-6}),
        ("dead_share", {"max_dead_share": -1.0}),
        ("firings", {"min_firings": 1e9}),
    ],
)
def test_a_figure_beyond_its_bound_fails_that_check_alone(
    workspace: Workspace, name: str, bounds: dict[str, float]
) -> None:
    failed = check_run(workspace, SAE, replace(LOOSE, **bounds)).failed
    assert [(check.name, check.bound) for check in failed] == [(name, *bounds.values())]


def test_densities_are_judged_at_several_thresholds(copy: Workspace) -> None:
    density = np.array([0.2, 0.02, 0.015, *[0.0001] * 92, *[0] * 33], np.float32)
    fired = np.ones(128, np.int64)
    directions = np.ones((128, 32), np.float32)
    write_snapshot(copy.sae_dir(SAE), 150, directions, density, fired, 400_000, 0.1, 100)
    found = checks(copy, Bounds())
    assert [found[f"{name}_share"].figure for name in ("frequent", "dense", "rare")] == [3 / 128, 1 / 128, 33 / 128]
    assert [found[f"{name}_share"].passed for name in ("frequent", "dense", "rare")] == [True, True, False]
    assert "400,000 held-out rows at step 150" in found["dense_share"].detail
    write_snapshot(copy.sae_dir(SAE), 150, directions, density, fired, 4_000, 0.1, 100)
    few = checks(copy, Bounds())["rare_share"]
    assert few.passed is None and few.figure == 33 / 128 and "too few to tell" in few.detail
    (copy.sae_dir(SAE) / "snapshots" / "step_00000150.safetensors").unlink()
    assert checks(copy)["rare_share"].passed is None and "no snapshot" in checks(copy)["rare_share"].detail


def test_altered_weights_are_found(copy: Workspace) -> None:
    path = copy.sae_dir(SAE) / "sae_weights.safetensors"
    tensors = load_file(path)
    tensors["W_dec"][3] *= 1.01
    save_file(tensors, path)
    found = checks(copy)
    assert found["weights"].passed is False and found["export"].passed is True
    path.write_bytes(path.read_bytes()[:1000])
    assert "weights" not in checks(copy) and checks(copy)["export"].passed is False


def test_an_export_that_does_not_reconstruct_the_same_fails(copy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from precompute import run_quality

    true_fold = run_quality.fold
    monkeypatch.setattr(run_quality, "fold", lambda raw: replace(true_fold(raw), w_dec=true_fold(raw).w_dec * 1.001))
    found = checks(copy)["export"]
    assert found.passed is False and found.figure is not None and found.figure > 1e-4
    assert "normally distributed rows" in found.detail  # no activations were copied


def test_weights_that_are_not_numbers_fail(copy: Workspace) -> None:
    path = copy.sae_dir(SAE) / "sae_weights.safetensors"
    tensors = load_file(path)
    tensors["b_dec"][0] = np.nan
    save_file(tensors, path)
    found = checks(copy)["export"]
    assert found.passed is False and found.figure is None


def test_loss_recovered_is_taken_from_the_measurement_beside_the_sae_or_from_training(copy: Workspace) -> None:
    sae = copy.sae(SAE).metadata["fingerprints"]["sae"]
    edit(copy, loss_recovered=0.95)
    assert (checks(copy)["loss_recovered"].passed, checks(copy)["loss_recovered"].figure) == (True, 0.95)
    measured = LossRecovered(0.7, 0.6, 1.0, 1.3, 2.0, 1.9, 1234, 10)
    keep(copy.sae_dir(SAE), measured, {"fingerprints": {"sae": sae}})
    found = checks(copy)["loss_recovered"]
    assert (found.passed, found.figure, found.detail) == (False, 0.7, "1,234 tokens")
    keep(copy.sae_dir(SAE), measured, {"fingerprints": {"sae": "of another"}})
    assert checks(copy)["loss_recovered"].figure == 0.95
    (copy.sae_dir(SAE) / "loss_recovered.json").write_text("[")
    assert checks(copy)["loss_recovered"].passed is None


def test_an_sae_of_which_little_is_known_is_checked_as_far_as_possible(copy: Workspace) -> None:
    path = copy.sae_dir(SAE) / "cfg.json"
    cfg = json.loads(path.read_text())
    cfg["metadata"] = {"fingerprints": cfg["metadata"]["fingerprints"]}
    path.write_text(json.dumps(cfg))
    found = checks(copy)
    assert {name for name in NAMES if found[name].passed is not None} == {"weights", "export"}
    path.write_text(json.dumps({"architecture": FOREIGN, "d_sae": 4, "metadata": {}}))
    assert {check.passed for check in checks(copy).values()} == {None}


def test_an_sae_that_is_not_finished_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound, match="no finished SAE"):
        check_run(Workspace(tmp_path), SAE)


def test_stale_running_rows_are_closed_and_no_catalog_is_made_for_it(
    copy: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOUPE_DATABASE_URL", raising=False)
    assert check_run(copy, SAE).repaired == [] and not (copy.root / "catalog.sqlite").exists()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with monkeypatch.context() as patched:
        patched.setattr("catalog.runs.os.getpid", lambda: ended.pid)
        catalog = Catalog(copy.catalog_url)
        start_run(catalog, "r1", SAE, {}, now=datetime.now(UTC) - timedelta(hours=1))
    assert check_run(copy, SAE).repaired == ["r1"]
    assert runs(catalog, now=datetime.now(UTC) - timedelta(hours=1))[0].status == "stopped"
    catalog.close()
