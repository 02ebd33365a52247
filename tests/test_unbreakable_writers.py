"""Whatever stops a writer (a full disk, missing rights, another writer, a kill), the old store stays and the new is whole."""

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loaders.errors import BadInput
from loaders.inspection import inspect_store
from loaders.manifest import read_manifest
from loaders.workspace import Workspace
from precompute import publish
from precompute.lock import hold_workspace
from precompute.packing import pack
from precompute.progress import Progress
from precompute.unpacking import unpack

STORE = "tiny-l0@texts"
ROOT = Path(__file__).parent.parent
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    for kind in ("stores", "datasets", "saes"):
        shutil.copytree(workspace.root / kind, tmp_path / "w" / kind)
    return Workspace(tmp_path / "w")


def without_tables(workspace: Workspace, *names: str) -> Path:
    """The published store as it is before those tables were computed; returns its directory."""
    directory = workspace.store_dir(STORE)
    for name in names:
        for path in (directory / "tables").glob(f"{name}.*"):
            path.unlink()
    kept = [name for name in read_manifest(directory, "store")["tables"] if name not in names]
    publish.publish(directory, None, kept)
    return directory


def snapshot(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


# A disk that takes nothing --------------------------------------------------------------------------------------


def loupe(*words: object, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loupe", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, preexec_fn=before)


def require_one_sentence(done: subprocess.CompletedProcess[str], *reasons: str) -> None:
    said = [line for line in done.stderr.splitlines() if line.startswith("loupe: ")]
    assert done.returncode == 2, done.stderr
    assert len(said) == 1 and "Traceback" not in done.stderr, done.stderr
    assert any(reason in said[0] for reason in reasons), said[0]


def limit_files(size: int) -> Callable[[], None]:
    """The system refuses to let any file grow beyond `size` bytes: a full disk, as far as one writer can tell."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


STEPS = {
    "tokens": ("tokens", ["tokens"], 4096),
    "neighbours": ("neighbours", ["neighbours"], 4096),
    "breakdowns": ("breakdowns", ["breakdowns"], 4096),
    "histograms": ("histograms", ["histograms"], 512),
    "publish": ("publish", [], 2048),
    "dense": ("transpose", [], 4096),
    "per feature": ("transpose", [], 64),
}
OPTIONS = {"dense": ["--dense"], "per feature": ["--per-feature"]}


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_ends_in_one_sentence_and_leaves_the_old_store_intact(copied: Workspace, step: str) -> None:
    verb, missing, size = STEPS[step]
    directory = without_tables(copied, *missing)
    if step == "publish":
        shutil.copy(directory / "tables/map.parquet", directory / "tables/new.parquet")
    words = [verb, "--workspace", copied.root, "--store", STORE, *OPTIONS.get(step, [])]
    before = snapshot(directory)
    require_one_sentence(loupe(*words, before=limit_files(size)), "File too large", "written")
    assert before.items() <= snapshot(directory).items()
    assert inspect_store(directory, verify=True)["faults"] == []
    done = loupe(*words)
    assert done.returncode == 0, done.stderr
    publish.run(publish.Config(STORE), copied, Progress())
    report = inspect_store(directory, verify=True)
    assert (report["faults"], report["unlisted"]) == ([], [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of 24 MiB, in memory; skips where none may be mounted."""
    place, system = tmp_path / "disk", ctypes.CDLL(None, use_errno=True)
    place.mkdir()
    if system.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, b"size=24m") != 0:
        pytest.skip(f"no disk can be mounted here: {os.strerror(ctypes.get_errno())}")
    yield place
    system.umount2(str(place).encode(), 2)


def fill(disk: Path, but: int) -> None:
    """Leave only `but` bytes free."""
    free = shutil.disk_usage(disk).free
    with open(disk / "filling", "wb") as file:
        file.write(bytes(max(free - but, 0)))


def test_a_disk_that_is_really_full_keeps_the_old_store(workspace: Workspace, small_disk: Path) -> None:
    for part in (f"stores/{STORE}", "datasets/texts", "saes/tiny-l0"):
        shutil.copytree(workspace.root / part, small_disk / part)
    disk = Workspace(small_disk)
    directory = without_tables(disk, "breakdowns")
    before = snapshot(directory)
    fill(small_disk, 64 * 2**10)
    words = ["--workspace", small_disk, "--store", STORE]
    require_one_sentence(loupe("breakdowns", *words), "No space left on device", "written", "Not enough disk space")
    require_one_sentence(loupe("transpose", *words, "--dense"), "Not enough disk space")
    assert before.items() <= snapshot(directory).items()
    assert inspect_store(directory, verify=True)["faults"] == []
    assert disk.open_store(STORE)
    (small_disk / "filling").unlink()
    assert loupe("breakdowns", *words).returncode == 0


def test_a_pack_that_does_not_fit_is_refused_before_it_begins(
    workspace: Workspace, small_disk: Path, tmp_path: Path
) -> None:
    packed = pack(workspace, STORE, tmp_path / "pack", False, True, Progress()).path
    with pytest.raises(BadInput, match="Not enough disk space"):
        unpack(packed, Workspace(small_disk), Progress())
    with pytest.raises(BadInput, match="Not enough disk space"):
        pack(workspace, STORE, small_disk / "pack", True, True, Progress())
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("step", ["tokens", "histograms", "publish"])
def test_a_read_only_directory_ends_in_one_sentence(copied: Workspace, step: str) -> None:
    directory = without_tables(copied, "tokens", "histograms")
    if step == "publish":
        shutil.copy(directory / "tables/map.parquet", directory / "tables/new.parquet")
    before = snapshot(directory)
    places = [directory, *(path for path in directory.rglob("*") if path.is_dir())]

    def respect_modes() -> None:
        """root, too, is bound by the modes of directories."""
        if os.geteuid() == 0 and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0:
            raise OSError("this root cannot give up its rights")

    for place in places:
        place.chmod(0o555)
    try:
        done = loupe(step, "--workspace", copied.root, "--store", STORE, before=respect_modes)
    finally:
        for place in places:
            place.chmod(0o755)
    require_one_sentence(done, "Permission denied")
    assert snapshot(directory) == before
    assert inspect_store(directory, verify=True)["faults"] == []


# Two writers, and a reader beside a writer ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["stats", "transpose", "tokens", "publish"])
def test_a_second_writer_is_refused(copied: Workspace, verb: str) -> None:
    before = snapshot(copied.store_dir(STORE))
    with hold_workspace(copied.root):
        done = loupe(verb, "--workspace", copied.root, "--store", STORE)
    require_one_sentence(done, f"Another pipeline (process {os.getpid()}) is working on")
    assert snapshot(copied.store_dir(STORE)) == before


READER = """
import json, sys, time
from pathlib import Path
from loaders.manifest import check_files
from loaders.seal import is_intact
from loaders.tables import GroupedTable, read_parquet_table
from loaders.schema import PARQUET_TABLES
from loaders.workspace import Workspace

root, store_id, stop = sys.argv[1], sys.argv[2], Path(sys.argv[3])
seen = []
is_last = False
while True:
    store = Workspace(root).open_store(store_id)
    assert is_intact(store.manifest)
    check_files(store.directory, store.manifest, hashes=True)
    for table, entry in store.manifest["tables"].items():
        is_flat = table in PARQUET_TABLES
        rows = read_parquet_table(store.directory, table) if is_flat else GroupedTable(store.directory, table).read_all()
        assert rows.num_rows == entry["rows"], table
    tables, total = sorted(store.manifest["tables"]), int(store.activations(9).indices.sum())
    said = [store.generation, tables, store.fingerprint, total]
    if not seen or seen[-1] != said:
        seen.append(said)
        print(json.dumps(said), flush=True)
    if is_last:
        break
    is_last = stop.exists()
"""


def test_a_reader_beside_a_writer_sees_one_generation_or_the_next(
    workspace: Workspace, copied: Workspace, tmp_path: Path
) -> None:
    added = ["histograms", "map", "tokens", "breakdowns", "neighbours", "influences"]
    directory = without_tables(copied, *added)
    tables = workspace.store_dir(STORE) / "tables"
    manifests = [read_manifest(directory, "store")]
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(copied.root), STORE, str(tmp_path / "stop")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    first = reader.stdout.readline()
    there = list(manifests[0]["tables"])
    for table in added:
        for path in sorted(tables.glob(f"{table}.*"), reverse=True):
            shutil.copy(path, directory / "tables" / f"{path.name}.tmp")
            (directory / "tables" / f"{path.name}.tmp").rename(directory / "tables" / path.name)
        there.append(table)
        manifests += [publish.publish(directory, None, there) for _ in range(5)]
    (tmp_path / "stop").touch()
    rest, complaint = reader.communicate(timeout=120)
    assert reader.returncode == 0, complaint
    seen = [json.loads(line) for line in [first, *rest.splitlines()]]
    published = {manifest["generation"]: manifest for manifest in manifests}
    indices = int(workspace.open_store(STORE).activations(9).indices.sum())
    for generation, names, fingerprint, found in seen:
        manifest = published[generation]
        assert (names, fingerprint) == (sorted(manifest["tables"]), manifest["fingerprints"]["store"])
        assert found == indices
    assert [said[0] for said in seen] == sorted({said[0] for said in seen})
    assert (seen[0][0], seen[-1][0]) == (manifests[0]["generation"], manifests[-1]["generation"])
