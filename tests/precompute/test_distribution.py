"""The same steps on this process, on two processes and on a Dask cluster of two workers leave the same bytes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client, LocalCluster

from loaders.manifest import file_sha256
from loaders.workspace import Workspace
from precompute import convert, harvest, transpose
from precompute.progress import Progress
from precompute.tables import breakdowns, histograms, influences, neighbours, stats, tasks, tokens

SAE, DATASET = "tiny-l1", "texts"
STORE = f"{SAE}@{DATASET}"
TABLES = (stats, histograms, tokens, breakdowns, neighbours, influences)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes of one thread each."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def small_tasks() -> Iterator[None]:
    """Cut the small store into many tasks; how it is cut is decided before anything is handed out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harvest, "BATCH_SAMPLES", 300)
        patch.setattr(convert, "BATCH_SAMPLES", 100)
        patch.setattr(tasks, "TASK_NNZ", 1_000)
        patch.setattr(neighbours, "BLOCK_CELLS", 128 * 20)
        patch.setattr(influences, "BLOCK_FEATURES", 16)
        yield


def write_activations(directory: Path) -> Path:
    """Three files of activations as another tool would leave them, of different lengths."""
    directory.mkdir()
    rng = np.random.default_rng(0)
    for number, rows in enumerate((400, 250, 77)):
        values = rng.random((rows, 30), dtype=np.float32) * (rng.random((rows, 30)) < 0.2)
        path = directory / f"part_{number}.npy"
        np.save(path, values.astype(np.float32))
        os.utime(path, (0, 0))  # a batch records when its source was written
    (directory / "rows.csv").write_text("kind\n" + "\n".join(f"kind {row % 5}" for row in range(727)))
    return directory


def run_all(source: Workspace, root: Path, **where: Any) -> dict[str, str]:
    """Every distributed step in a workspace of its own; returns the sha256 of each file that they wrote."""
    root.mkdir()
    for kind in ("datasets", "saes", "activations", "models"):
        shutil.copytree(source.root / kind, root / kind)
    workspace = Workspace(root)
    harvest.run(harvest.Config(SAE, DATASET, threads=1, **where), workspace, Progress())
    transpose.run(transpose.Config(STORE, **where), workspace, Progress())
    for table in TABLES:
        options = {"model": str(root / "models" / "tiny")} if table is influences else {}
        table.run(table.Config(store=STORE, **options, **where), workspace, Progress())
    files = write_activations(root / "elsewhere")
    parts, rows = tuple(str(path) for path in sorted(files.glob("*.npy"))), str(files / "rows.csv")
    foreign = convert.Config(source=parts, sae_id="foreign", dataset_id="rows", metadata=rows, **where)
    convert.run(foreign, workspace, Progress())
    transpose.run(transpose.Config("foreign@rows", **where), workspace, Progress())
    written = [path for path in (root / "stores").rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): file_sha256(path) for path in sorted(written)}


@pytest.fixture(scope="module")
def alone(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_all(workspace, tmp_path_factory.mktemp("alone") / "w")


def test_a_dask_cluster_of_two_workers_writes_the_same_bytes(
    workspace: Workspace, alone: dict[str, str], cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
    assert run_all(workspace, tmp_path / "w", jobs=2, backend="dask") == alone
    with Client(cluster) as client:
        used = client.run(lambda: "precompute.harvest" in __import__("sys").modules)
    assert list(used.values()) == [True, True]  # both workers took part


def test_two_processes_write_the_same_bytes(workspace: Workspace, alone: dict[str, str], tmp_path: Path) -> None:
    assert run_all(workspace, tmp_path / "w", jobs=2) == alone
    assert any("features.zarr" in name for name in alone) and any("neighbours" in name for name in alone)
