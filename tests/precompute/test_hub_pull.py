"""What was pushed is pulled elsewhere byte for byte, or not at all; a pull continues after kill -9."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import BadInput, StoreDamaged
from loaders.hub import Hub
from loaders.hub_place import FolderPlace
from loaders.hub_schema import DOCUMENT
from loaders.seal import sealed
from loaders.store import Store
from loaders.usage import leftovers
from loaders.workspace import Workspace
from precompute.hub_download import hub_faults
from precompute.hub_pull import Pulled, plan, pull
from precompute.hub_push import Pushed, Request, push
from precompute.progress import Progress

ROOT = Path(__file__).parents[2]
STORE = "tiny-l0@texts"
KILLED = """
import os, signal, sys
from pathlib import Path
from loaders.hub import Hub
from loaders.hub_place import FolderPlace
from loaders.workspace import Workspace
from precompute.hub_pull import plan, pull
from precompute.progress import Progress

class Fuse:
    def update(self, step):
        if step.title.startswith("pull") and step.done > step.total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

place, workspace, progress = FolderPlace(Path(sys.argv[1])), Workspace(sys.argv[2]), Progress(Fuse())
hub = Hub(place).refresh()
pull(plan(hub, "it"), hub, workspace, progress)
"""


def send(workspace: Workspace, hub: Path, source: str, name: str = "it", version: str = "1.0.0", **more) -> Pushed:
    more = {"license": "MIT", **more}
    return push(Request(source, name, version, **more), workspace, FolderPlace(hub), Progress())


def fetch(hub: Path, root: Path, reference: str = "it") -> Pulled:
    found = Hub(FolderPlace(hub)).refresh()
    return pull(plan(found, reference), found, Workspace(root), Progress())


def killed(hub: Path, root: Path) -> None:
    """Pull in a process of its own that is killed half way."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(hub), str(root)], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def rewrite(hub: Path, reference: str, **changed) -> None:
    """Publish another document in an artifact's place, with a seal that fits: what a hostile author would do."""
    path = hub / reference / DOCUMENT
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | changed)))


def visible(root: Path) -> list[str]:
    """Everything of a workspace that is not hidden."""
    kinds = ("datasets", "saes", "stores", "layers")
    return sorted(f"{kind}/{path.name}" for kind in kinds for path in (root / kind).glob("[!.]*"))


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def copied(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The session's workspace without captured activations, to be damaged."""
    for kind in ("datasets", "saes", "stores", "layers"):
        shutil.copytree(workspace.root / kind, tmp_path / "copied" / kind)
    return Workspace(tmp_path / "copied")


def test_a_store_comes_with_its_sae_and_dataset_and_answers_as_before(
    workspace: Workspace, store: Store, hub: Path, tmp_path: Path
) -> None:
    pushed = send(workspace, hub, f"stores/{STORE}", tags=("small", "test"), description="words", author="me")
    assert pushed.skipped == 0 and pushed.sent == pushed.artifact.size
    artifact = pushed.artifact
    assert artifact.kind == "store" and artifact.tags == ("small", "test") and artifact.dataset
    assert (artifact.saes[0].hook, artifact.saes[0].d_in, artifact.saes[0].features) == ("encoder.layer.0", 32, 128)
    assert artifact.saes[0].quality["fvu"] == pytest.approx(store.manifest["quality"]["fvu"])
    pulled = fetch(hub, tmp_path / "new")
    assert visible(tmp_path / "new") == ["datasets/texts", "saes/tiny-l0", f"stores/{STORE}"] == sorted(pulled.added)
    opened = Workspace(tmp_path / "new").open_store(STORE)
    for feature in range(store.features):
        np.testing.assert_array_equal(opened.activations(feature).activations, store.activations(feature).activations)
    feature = int(store.stats()["n"].idxmax())
    assert opened.examples(feature) == store.examples(feature)
    assert not (opened.directory / "activations").exists()  # batches stay at home, as in a pack
    assert leftovers(tmp_path / "new") == []
    assert json.loads((tmp_path / "new" / "pulled" / "it@1.0.0.json").read_text())["license"] == "MIT"


def test_an_artifacts_folder_opens_as_a_workspace_where_it_is(workspace: Workspace, store: Store, hub: Path) -> None:
    send(workspace, hub, f"stores/{STORE}")
    opened = Workspace(hub / "it" / "1.0.0").open_store(STORE)
    assert opened.stats().equals(store.stats())


def test_a_set_depends_on_what_is_in_the_hub_and_sends_only_the_rest(
    workspace: Workspace, hub: Path, tmp_path: Path
) -> None:
    send(workspace, hub, "datasets/texts", "texts", "1.4.0")
    send(workspace, hub, "saes/tiny-l0", "first", "0.1.0")
    send(workspace, hub, f"stores/{STORE}", "first-store", depends=("texts@^1", "first@^0.1"))
    whole = send(workspace, hub, "layers/tiny", depends=("first-store",)).artifact
    own = {content.place for content in whole.contents}
    assert own == {"layers/tiny", "stores/tiny-l1@texts", "saes/tiny-l1"}
    assert [sae.id for sae in whole.saes] == ["tiny-l0", "tiny-l1"]
    pulled = fetch(hub, tmp_path / "new", "it@>=1,<2")
    assert len(pulled.added) == 6 and pulled.present == []
    found = Workspace(tmp_path / "new")
    assert found.layer_set("tiny").members == found.store_ids() == ["tiny-l0@texts", "tiny-l1@texts"]
    again = fetch(hub, tmp_path / "new")
    assert (again.added, len(again.present), again.fetched) == ([], 6, 0)


def test_a_pull_that_was_killed_shows_nothing_and_continues(workspace: Workspace, hub: Path, tmp_path: Path) -> None:
    size = send(workspace, hub, f"stores/{STORE}").artifact.size
    killed(hub, tmp_path / "new")
    assert visible(tmp_path / "new") == []
    pulled = fetch(hub, tmp_path / "new")
    assert 0 < pulled.fetched < size and len(visible(tmp_path / "new")) == 3
    Workspace(tmp_path / "new").open_store(STORE)


@pytest.mark.parametrize("begun", ["right", "wrong"])
def test_half_a_file_is_continued_where_it_is_right_and_begun_anew_where_not(
    workspace: Workspace, hub: Path, tmp_path: Path, begun: str
) -> None:
    send(workspace, hub, "saes/tiny-l0")
    weights = (workspace.root / "saes/tiny-l0/sae_weights.safetensors").read_bytes()
    half = weights[: len(weights) // 2]
    staged = tmp_path / "new" / "saes" / ".pulled.partial" / "tiny-l0"
    staged.mkdir(parents=True)
    (staged / ".sae_weights.safetensors.partial").write_bytes(half if begun == "right" else bytes(len(half)))
    (staged / "stranger.pt").write_bytes(b"not of the artifact")
    fetch(hub, tmp_path / "new")
    directory = tmp_path / "new" / "saes" / "tiny-l0"
    assert (directory / "sae_weights.safetensors").read_bytes() == weights
    assert not (directory / "stranger.pt").exists()


@pytest.mark.parametrize("damage", ["altered", "shortened", "missing", "a link"])
def test_a_damaged_file_of_the_hub_is_named_and_nothing_becomes_visible(
    workspace: Workspace, hub: Path, tmp_path: Path, damage: str
) -> None:
    artifact = send(workspace, hub, f"stores/{STORE}").artifact
    path = hub / "it" / "1.0.0" / "stores" / STORE / "tables" / "stats.parquet"
    if damage == "altered":
        alter(path)
    elif damage == "shortened":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
        if damage == "a link":
            path.symlink_to(workspace.root / "stores" / STORE / "tables" / "stats.parquet")
    with pytest.raises(StoreDamaged, match=r"tables/stats\.parquet' of 'it@1\.0\.0'"):
        fetch(hub, tmp_path / "new")
    assert visible(tmp_path / "new") == []
    faults = hub_faults(FolderPlace(hub), artifact, lambda size: None)
    assert len(faults) == 1 and "stats.parquet" in faults[0]


def test_another_sae_of_the_same_id_is_never_replaced(workspace: Workspace, hub: Path, copied: Workspace) -> None:
    send(workspace, hub, f"stores/{STORE}")
    send(workspace, hub, "saes/tiny-l0", "alone")
    shutil.rmtree(copied.root / "saes" / "tiny-l0")
    shutil.copytree(copied.root / "saes" / "tiny-l1", copied.root / "saes" / "tiny-l0")
    shutil.rmtree(copied.root / "stores" / STORE)
    before = (copied.root / "saes" / "tiny-l0" / "cfg.json").read_bytes()
    for reference in ("it", "alone"):
        with pytest.raises(BadInput, match=r"another 'saes/tiny-l0' than this workspace: its fingerprint differs"):
            fetch(hub, copied.root, reference)
    assert (copied.root / "saes" / "tiny-l0" / "cfg.json").read_bytes() == before
    assert not (copied.root / "stores" / STORE).exists()


def test_an_author_who_lies_about_fingerprints_is_refused(workspace: Workspace, hub: Path, tmp_path: Path) -> None:
    artifact = send(workspace, hub, "saes/tiny-l0").artifact
    other = workspace.sae("tiny-l1").metadata["fingerprints"]["sae"]
    contents = [{"folder": "saes", "id": "tiny-l0", "fingerprint": other}]
    saes = [artifact.saes[0].model_dump() | {"fingerprint": other}]
    rewrite(hub, "it/1.0.0", contents=contents, saes=saes)
    with pytest.raises(StoreDamaged, match="do not have the fingerprint"):
        fetch(hub, tmp_path / "new")
    assert visible(tmp_path / "new") == [] and leftovers(tmp_path / "new")[0].bytes == 0


def test_an_author_who_adds_or_withholds_files_is_refused(workspace: Workspace, hub: Path, tmp_path: Path) -> None:
    artifact = send(workspace, hub, f"stores/{STORE}").artifact
    kept = [file.model_dump() for file in artifact.files if not file.path.endswith("stats.parquet")]
    rewrite(hub, "it/1.0.0", files=kept)
    with pytest.raises(StoreDamaged, match="manifest lists other files"):
        fetch(hub, tmp_path / "new")
    without = [content.model_dump() for content in artifact.contents if content.folder != "datasets"]
    rewrite(hub, "it/1.0.0", contents=without, files=[f for f in kept if not f["path"].startswith("datasets/")])
    with pytest.raises(StoreDamaged, match="comes without its dataset"):
        fetch(hub, tmp_path / "new")
    assert visible(tmp_path / "new") == []


def test_another_schema_version_is_refused_before_anything_is_fetched(
    workspace: Workspace, hub: Path, tmp_path: Path
) -> None:
    send(workspace, hub, "saes/tiny-l0")
    rewrite(hub, "it/1.0.0", schema_version=99)
    with pytest.raises(BadInput, match="Update Loupe"):
        fetch(hub, tmp_path / "new")
    assert not (tmp_path / "new" / "saes").exists()
