"""What is pushed to a hub is whole, licensed and never replaced; a push continues after kill -9."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loaders.errors import BadInput, LoupeError, StoreDamaged, StoreNotFound
from loaders.hub import Hub
from loaders.hub_place import FolderPlace
from loaders.hub_schema import DOCUMENT
from loaders.workspace import Workspace
from precompute.hub_download import hub_faults
from precompute.hub_push import Pushed, Request, push
from precompute.hub_upload import put_bytes
from precompute.progress import Progress

ROOT = Path(__file__).parents[2]
STORE = "tiny-l0@texts"
KILLED = """
import os, signal, sys
from pathlib import Path
from loaders.hub_place import FolderPlace
from loaders.workspace import Workspace
from precompute.hub_push import Request, push
from precompute.progress import Progress

class Fuse:
    def update(self, step):
        if step.title.startswith("push") and step.done > step.total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

place, workspace, progress = FolderPlace(Path(sys.argv[1])), Workspace(sys.argv[2]), Progress(Fuse())
push(Request("stores/tiny-l0@texts", "it", "1.0.0", "MIT"), workspace, place, progress)
"""


def send(workspace: Workspace, hub: Path, source: str, name: str = "it", version: str = "1.0.0", **more) -> Pushed:
    more = {"license": "MIT", **more}
    return push(Request(source, name, version, **more), workspace, FolderPlace(hub), Progress())


def killed(hub: Path, root: Path) -> None:
    """Push in a process of its own that is killed half way."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(hub), str(root)], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The session's workspace without captured activations, to be damaged."""
    for kind in ("datasets", "saes", "stores", "layers"):
        shutil.copytree(workspace.root / kind, tmp_path / "copied" / kind)
    return Workspace(tmp_path / "copied")


def test_where_the_makers_files_lay_is_not_told(workspace: Workspace, hub: Path) -> None:
    send(workspace, hub, "layers/tiny")
    told = [path for path in hub.rglob("*.json") if str(workspace.root.parent) in path.read_text()]
    assert told == []


def test_a_version_is_never_published_twice(workspace: Workspace, hub: Path) -> None:
    send(workspace, hub, "saes/tiny-l0")
    before = (hub / "it" / "1.0.0" / DOCUMENT).read_bytes()
    with pytest.raises(BadInput, match="published already"):
        send(workspace, hub, "saes/tiny-l1")
    assert (hub / "it" / "1.0.0" / DOCUMENT).read_bytes() == before


@pytest.mark.parametrize(
    ("source", "more", "sentence"),
    [
        ("saes/tiny-l0", {"license": ""}, "needs a license"),
        ("saes/tiny-l0", {"license": "???"}, "license"),
        ("saes/tiny-l0", {"version": "1.0"}, "is no version"),
        ("saes/tiny-l0", {"name": "../up"}, "no name"),
        ("saes/tiny-l0", {"tags": ("Not a slug",)}, "tags"),
        ("saes/tiny-l0", {"depends": ("nothing@^1",)}, "no artifact 'nothing'"),
        ("models/tiny", {}, "cannot be shared"),
        ("saes/../saes/tiny-l0", {}, "cannot be shared"),
        ("saes/none", {}, "no finished SAE"),
        ("stores/a@b", {}, "no finished store"),
    ],
)
def test_what_cannot_be_published_is_refused_and_leaves_nothing(
    workspace: Workspace, hub: Path, source: str, more: dict[str, str], sentence: str
) -> None:
    hub.mkdir()
    with pytest.raises((BadInput, StoreNotFound), match=sentence):
        send(workspace, hub, source, **more)
    assert list(hub.rglob(DOCUMENT)) == []


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("saes/tiny-l0", "saes/tiny-l0/sae_weights.safetensors"),
        (f"stores/{STORE}", f"stores/{STORE}/tables/stats.parquet"),
        (f"stores/{STORE}", "datasets/texts/vocab.json"),
        ("layers/tiny", "stores/tiny-l1@texts/manifest.json"),
    ],
)
def test_a_damaged_source_is_refused(copied: Workspace, hub: Path, source: str, file: str) -> None:
    alter(copied.root / file)
    with pytest.raises(StoreDamaged):
        send(copied, hub, source)
    assert list(hub.rglob(DOCUMENT)) == []


def test_an_unpublished_store_is_refused(copied: Workspace, hub: Path) -> None:
    (copied.root / "stores" / STORE / "manifest.json").unlink()
    with pytest.raises(StoreNotFound):
        send(copied, hub, f"stores/{STORE}")


def test_a_push_that_was_killed_continues(workspace: Workspace, hub: Path) -> None:
    killed(hub, workspace.root)
    assert Hub(FolderPlace(hub)).refresh().artifacts() == []
    there = {path for path in hub.rglob("*") if path.is_file()}
    torn = next(path for path in there if path.stat().st_size > 100 and not path.name.startswith("."))
    alter(torn)  # the right size and another sha256: must be sent again
    pushed = send(workspace, hub, f"stores/{STORE}")
    assert 0 < pushed.skipped < pushed.artifact.size
    assert hub_faults(FolderPlace(hub), pushed.artifact, lambda size: None) == []
    assert not list(hub.rglob("*.partial"))


def test_two_who_push_the_same_version_at_once_cannot_both_publish(workspace: Workspace, hub: Path) -> None:
    put_bytes(FolderPlace(hub), f"it/1.0.0/{DOCUMENT}", b"first")
    with pytest.raises(BadInput, match="published already"):
        put_bytes(FolderPlace(hub), f"it/1.0.0/{DOCUMENT}", b"second")
    assert (hub / "it" / "1.0.0" / DOCUMENT).read_bytes() == b"first"
    assert os.listdir(hub / "it" / "1.0.0") == [DOCUMENT]


def test_a_dependency_that_holds_something_else_is_refused(workspace: Workspace, copied: Workspace, hub: Path) -> None:
    shutil.rmtree(copied.root / "saes" / "tiny-l0")
    shutil.copytree(copied.root / "saes" / "tiny-l1", copied.root / "saes" / "tiny-l0")
    send(copied, hub, "saes/tiny-l0", "other")
    with pytest.raises(LoupeError, match="hold another 'saes/tiny-l0'"):
        send(workspace, hub, f"stores/{STORE}", depends=("other",))
