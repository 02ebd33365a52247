"""A pipeline that is killed without warning continues where it stopped and ends with the same fingerprints."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from catalog.catalog import Catalog
from catalog.jobs import jobs
from loaders.inspection import inspect_store
from loaders.manifest import check_files, read_manifest
from loaders.workspace import Workspace
from precompute import removal
from precompute.lock import hold_workspace

OPTIONS = [
    "--set-id",
    "tiny",
    "--context-length",
    "48",
    "--tokens",
    "12000",
    "--k",
    "8",
    "--expansion",
    "4",
    "--steps",
    "150",
    "--batch",
    "512",
]
ROOT = Path(__file__).parent.parent
STORE = "tiny-l0@texts"
HOOKS = ["encoder.layer.0", "encoder.layer.1"]


def start_build(source: Workspace, target: Path) -> subprocess.Popen[str]:
    """`loupe build` with the settings of the session's workspace, into a directory of its own."""
    model, texts = source.root / "models" / "tiny", source.root / "texts.jsonl"
    command = [sys.executable, "-m", "loupe", "build", "--workspace", str(target), "--model", str(model)]
    command += ["--source", str(texts), "--hooks", *HOOKS, *OPTIONS]
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file of the pipeline appears, or the pipeline ends."""
    deadline = time.monotonic() + 240
    while not list(path.parent.glob(path.name)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_pipeline_killed_in_its_steps_ends_with_the_fingerprints_of_an_undisturbed_one(workspace, tmp_path):
    target = tmp_path / "killed"
    moments = [
        "datasets/.texts*",
        "saes/tiny-l0/metrics.jsonl",
        "stores/tiny-l0@texts/tables/stats*",
        "saes/tiny-l1/cfg.json",
    ]
    for moment in moments:
        process = start_build(workspace, target)
        wait_for(target / moment, process)
        assert process.poll() is None, f"the build ended before {moment}: {process.communicate()[1][-500:]}"
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = start_build(workspace, target)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    killed = Workspace(target)
    assert killed.store_ids() == workspace.store_ids()
    for store_id in workspace.store_ids():
        wanted, found = (read_manifest(w.store_dir(store_id), "store") for w in (workspace, killed))
        assert found["fingerprints"] == wanted["fingerprints"]
        assert _hashes(found) == _hashes(wanted)
        check_files(killed.store_dir(store_id), found, hashes=True)
    wanted, found = (read_manifest(w.layers_dir("tiny"), "layers") for w in (workspace, killed))
    assert found["pairs"] == wanted["pairs"]
    assert {job.status for job in jobs(Catalog(killed.catalog_url))} == {"done"}


def test_a_build_does_not_harvest_again_what_was_given_up(workspace, tmp_path):
    target = tmp_path / "lean"
    shutil.copytree(workspace.root, target)
    removal.sweep(Workspace(target), removal.collect(Workspace(target), batches=True))
    process = start_build(workspace, target)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    lean = Workspace(target)
    for store_id in workspace.store_ids():
        assert not (lean.store_dir(store_id) / "activations").exists()
        assert lean.open_store(store_id).fingerprint == workspace.open_store(store_id).fingerprint


def _hashes(manifest: dict) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in manifest["files"].items()}


def test_a_second_pipeline_on_the_same_workspace_is_refused_in_one_sentence(workspace, tmp_path):
    with hold_workspace(tmp_path):
        process = start_build(workspace, tmp_path)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert said.startswith(f"loupe: Another pipeline (process {os.getpid()}) is working on")


def test_an_interrupted_pipeline_says_how_to_go_on(workspace, tmp_path):
    process = start_build(workspace, tmp_path)
    wait_for(tmp_path / "datasets", process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert said.endswith("loupe: stopped; the same command continues where it stopped\n")


TABLE_WRITERS = """
import sys
from importlib import import_module
from loaders.workspace import Workspace
from precompute import publish, transpose
from precompute.progress import Progress
from precompute.unpacking import unpack
workspace, store = Workspace(sys.argv[1]), sys.argv[2]
names = ("stats", "histograms", "idf", "tokens", "breakdowns", "neighbours")
steps = [import_module(f"precompute.tables.{name}") for name in names]
print("ready", flush=True)
transpose.run(transpose.Config(store=store), workspace, Progress())
for number, step in enumerate(steps):
    step.run(step.Config(store=store), workspace, Progress())
    if number >= 2:
        publish.run(publish.Config(store=store), workspace, Progress())
"""


def test_writers_killed_at_random_end_with_the_same_fingerprints(workspace: Workspace, tmp_path: Path) -> None:
    for kind in ("stores", "datasets", "saes"):
        shutil.copytree(workspace.root / kind, tmp_path / "w" / kind)
    copied = Workspace(tmp_path / "w")
    directory = copied.store_dir(STORE)
    for name in ("features.zarr", "tables"):
        shutil.rmtree(directory / name)
    (directory / "manifest.json").unlink()
    rng, command = random.Random(1), [sys.executable, "-c", TABLE_WRITERS, str(copied.root), STORE]
    kills = 0
    for _ in range(6):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        kills += process.wait() == -signal.SIGKILL
        if (directory / "manifest.json").exists():
            check_files(directory, read_manifest(directory, "store"), hashes=True)
            Workspace(copied.root).open_store(STORE)
    assert subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300).returncode == 0
    assert kills
    wanted, found = (read_manifest(place.store_dir(STORE), "store") for place in (workspace, copied))
    hashes = [{name: entry["sha256"] for name, entry in manifest["files"].items()} for manifest in (wanted, found)]
    others = ("tables/influences.", "tables/map.")
    assert hashes[1] == {name: digest for name, digest in hashes[0].items() if not name.startswith(others)}
    assert found["fingerprints"] == wanted["fingerprints"]
    assert inspect_store(directory, verify=True)["faults"] == []
