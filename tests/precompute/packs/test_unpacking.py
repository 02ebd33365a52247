"""What is there is never replaced; a pack that was altered is refused with the file's name, and nothing of it is seen."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.errors import BadInput, LoupeError
from loaders.inspection import inspect_store
from loaders.usage import leftovers
from loaders.workspace import Workspace
from precompute import packing
from precompute.pack_source import PackDamaged
from precompute.progress import Progress
from precompute.unpacking import unpack

STORE = "tiny-l0@texts"
ROOT = Path(__file__).parents[3]
UNPACK = """
import sys
from pathlib import Path
from loaders.workspace import Workspace
from precompute.progress import Progress
from precompute.unpacking import unpack
unpack(Path(sys.argv[1]), Workspace(sys.argv[2]), Progress())
"""


def test_a_store_that_is_there_already_is_kept(packed: Path, empty: Workspace) -> None:
    restored = unpack(packed, empty, Progress())
    before = (restored / "manifest.json").stat()
    assert unpack(packed, empty, Progress()) == restored
    assert (restored / "manifest.json").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("kind", ["stores/tiny-l0@texts", "datasets/texts", "saes/tiny-l0"])
def test_another_one_under_the_same_id_is_never_replaced(
    packed: Path, empty: Workspace, kind: str, files_of: Callable[[Path], dict[str, str]], rewrite: Callable[..., None]
) -> None:
    unpack(packed, empty, Progress())
    place = empty.root / kind / ("cfg.json" if "saes" in kind else "manifest.json")

    def swap(document: dict[str, Any]) -> None:
        prints = (
            document["metadata"]["fingerprints"] if "metadata" in document else document.get("fingerprints", document)
        )
        prints.update({name: "0" * 64 for name in ("store", "fingerprint", "sae") if name in prints})

    rewrite(place, swap)
    if "stores" not in kind:
        shutil.rmtree(empty.store_dir(STORE))
    before = files_of(empty.root)
    with pytest.raises(BadInput, match=f"This workspace has another '{kind}': its fingerprint differs"):
        unpack(packed, empty, Progress())
    assert files_of(empty.root) == before


def test_an_unfinished_store_is_not_overwritten(packed: Path, empty: Workspace) -> None:
    (empty.store_dir(STORE) / "activations").mkdir(parents=True)
    with pytest.raises(BadInput, match="is here but not finished"):
        unpack(packed, empty, Progress())


def test_a_flipped_byte_in_any_file_of_a_pack_is_named(
    copy: Path, empty: Workspace, files_of: Callable[[Path], dict[str, str]]
) -> None:
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        altered = bytearray(whole)
        altered[len(altered) // 2] ^= 0x01
        path.write_bytes(altered)
        name = path.relative_to(copy).as_posix()
        with pytest.raises(LoupeError, match=f"'{name}'|{name.replace('.', '[.]')}"):
            unpack(copy, empty, Progress())
        path.write_bytes(whole)
    assert not empty.root.exists() or files_of(empty.root) == {}
    unpack(copy, empty, Progress())


@pytest.mark.parametrize("name", ["store/features.parquet", "dataset/vocab.json", "store/tables/tokens.arrow.zst"])
def test_a_missing_or_a_torn_file_is_named(copy: Path, empty: Workspace, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-9])
    with pytest.raises(PackDamaged, match=f"File '{name}' of pack 'copy.loupe' has .* bytes instead of"):
        unpack(copy, empty, Progress())
    (copy / name).unlink()
    with pytest.raises(PackDamaged, match=f"File '{name}' of pack 'copy.loupe' is missing"):
        unpack(copy, empty, Progress())


def test_a_torn_tar_is_refused(packed_tar: Path, tmp_path: Path, empty: Workspace) -> None:
    data = packed_tar.read_bytes()
    for length in (0, 100, 5000, len(data) // 2, len(data) - 20_000):
        (tmp_path / "torn.tar").write_bytes(data[:length])
        with pytest.raises(LoupeError, match="torn"):
            unpack(tmp_path / "torn.tar", empty, Progress())
    assert not empty.root.exists()


def test_a_pack_that_unfolds_into_more_than_it_lists_is_stopped_at_what_it_lists(
    copy: Path, empty: Workspace, require_nothing_visible: Callable[[Workspace], None], reseal: Callable[..., None]
) -> None:
    name = "store/tables/tokens.arrow.zst"
    with pa.OSFile(str(copy / name), "wb") as file, pa.CompressedOutputStream(file, "zstd") as out:
        for _ in range(200):
            out.write(bytes(2**20))
    reseal(copy)
    with pytest.raises(
        PackDamaged, match=f"File '{name}' of pack 'copy.loupe' does not restore what its manifest lists"
    ):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)


def change_order(frame: Any) -> Any:
    return frame.iloc[::-1]


def change_value(frame: Any) -> Any:
    return frame.assign(value=frame["value"].where(frame.index != 77, 0.5))


def drop_a_row(frame: Any) -> Any:
    return frame.iloc[1:]


def add_a_feature(frame: Any) -> Any:
    return frame.assign(feature_id=frame["feature_id"].where(frame.index != frame.index[-1], 128).astype("uint32"))


def add_a_sample(frame: Any) -> Any:
    return frame.assign(sample=frame["sample"].where(frame.index != 5, 2**32 - 1).astype("uint32"))


@pytest.mark.parametrize("change", [change_order, change_value, drop_a_row, add_a_feature, add_a_sample])
def test_activations_that_somebody_else_wrote_are_refused(
    copy: Path,
    empty: Workspace,
    change: Callable[[Any], Any],
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
) -> None:
    path = copy / "store/features.parquet"
    schema = pq.read_schema(path)
    frame = change(pq.read_table(path).to_pandas())
    pq.write_table(pa.Table.from_pandas(frame, schema=packing.SCHEMA, preserve_index=False), path)
    assert pq.read_schema(path).names == schema.names
    reseal(copy)
    with pytest.raises(PackDamaged, match=r"File 'store/features\.parquet' of pack 'copy\.loupe' does not restore"):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)


def test_another_sae_than_the_stores_is_refused(
    copy: Path,
    workspace: Workspace,
    empty: Workspace,
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
) -> None:
    shutil.copy(workspace.sae_dir("tiny-l1") / "sae_weights.safetensors", copy / "sae/sae_weights.safetensors")
    reseal(copy)
    with pytest.raises(PackDamaged, match="holds another SAE than its store was made with"):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)


def test_a_killed_unpack_shows_nothing_and_the_next_one_completes_it(
    packed: Path, tmp_path: Path, workspace: Workspace
) -> None:
    target = Workspace(tmp_path / "killed")
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", UNPACK, str(packed), str(target.root)], cwd=ROOT)
        while not list(target.root.glob("*/.unpacked/*/*")) and process.poll() is None:
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
        assert [left.path.name for left in leftovers(target.root)][:1] == [".unpacked"]
        assert target.store_ids() == [] or inspect_store(target.store_dir(STORE), verify=True)["faults"] == []
    unpack(packed, target, Progress())
    assert inspect_store(target.store_dir(STORE), verify=True)["faults"] == []
    assert os.listdir(target.root / "stores") == [STORE]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("dataset", {"columns": 5}),
        ("store", {"samples": 10**30}),
        ("store", {"tables": 5}),
    ],
)
def test_a_part_that_could_not_be_opened_is_refused(
    copy: Path,
    empty: Workspace,
    part: str,
    change: dict[str, object],
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
    rewrite: Callable[..., None],
) -> None:
    rewrite(copy / part / "manifest.json", lambda document: document.update(change))
    reseal(copy)
    with pytest.raises(PackDamaged):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)
