"""A pack made to do harm: names, links and members that lead elsewhere are refused before anything is written."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.pack_source import PackDamaged, is_id, is_safe
from precompute.progress import Progress
from precompute.unpacking import unpack

STORE = "tiny-l0@texts"


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "store/../../evil", "store//evil", "store/.hidden", "a\\b", "", "x" * 300, "a/\x00b"],
)
def test_names_that_lead_elsewhere_are_refused(
    copy: Path,
    packed_tar: Path,
    tmp_path: Path,
    empty: Workspace,
    name: str,
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
) -> None:
    assert not is_safe(name)
    reseal(copy, lambda document: document["files"].update({name: {"bytes": 0, "sha256": "0" * 64}}))
    with pytest.raises(PackDamaged, match="which cannot be one of its files"):
        unpack(copy, empty, Progress())
    if name and "\x00" not in name:
        shutil.copy(packed_tar, tmp_path / "evil.tar")
        with tarfile.open(tmp_path / "evil.tar", "a") as tar:
            member = tarfile.TarInfo(name)
            tar.addfile(member, io.BytesIO(b""))
        with pytest.raises(PackDamaged, match="which is no plain file of a pack"):
            unpack(tmp_path / "evil.tar", empty, Progress())
    require_nothing_visible(empty)


@pytest.mark.parametrize("part", ["store", "dataset"])
@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "tables/../../../evil", "manifest.json"])
def test_manifests_that_lead_elsewhere_are_refused(
    copy: Path,
    empty: Workspace,
    part: str,
    name: str,
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
    rewrite: Callable[..., None],
) -> None:
    def add(document: dict[str, Any]) -> None:
        document["files"][name] = {"bytes": 0, "sha256": "0" * 64}

    rewrite(copy / part / "manifest.json", add)
    reseal(copy)
    with pytest.raises(PackDamaged, match=f"which cannot be a file of a {part}"):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)


@pytest.mark.parametrize(
    "store_id", ["../x@texts", "a/b@texts", "tiny-l0@..", "@texts", "tiny-l0", ".x@texts", "UP@texts", 3]
)
def test_ids_that_are_none_are_refused(
    copy: Path,
    empty: Workspace,
    store_id: object,
    require_nothing_visible: Callable[[Workspace], None],
    reseal: Callable[..., None],
    rewrite: Callable[..., None],
) -> None:
    assert not isinstance(store_id, str) or not all(is_id(part) for part in (store_id + "@").split("@")[:2])
    sae, _, data = str(store_id).partition("@")
    rewrite(copy / "store/manifest.json", lambda document: document.update(id=store_id, sae=sae, dataset=data))
    rewrite(copy / "dataset/manifest.json", lambda document: document.update(id=data))
    reseal(copy)
    with pytest.raises(PackDamaged, match="contradicts itself"):
        unpack(copy, empty, Progress())
    require_nothing_visible(empty)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_tar_with_anything_but_plain_files_is_refused(
    packed_tar: Path, tmp_path: Path, empty: Workspace, kind: bytes
) -> None:
    shutil.copy(packed_tar, tmp_path / "evil.tar")
    with tarfile.open(tmp_path / "evil.tar", "a") as tar:
        member = tarfile.TarInfo("store/extra")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(PackDamaged, match="'store/extra', which is no plain file of a pack"):
        unpack(tmp_path / "evil.tar", empty, Progress())


def test_a_name_that_a_tar_holds_twice_is_refused(packed_tar: Path, tmp_path: Path, empty: Workspace) -> None:
    shutil.copy(packed_tar, tmp_path / "evil.tar")
    with tarfile.open(tmp_path / "evil.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("pack.json"), io.BytesIO(b""))
    with pytest.raises(PackDamaged, match=r"'pack\.json', which is no plain file"):
        unpack(tmp_path / "evil.tar", empty, Progress())


@pytest.mark.parametrize("place", ["dataset/vocab.json", "store", "pack.json"])
def test_a_link_in_a_pack_is_refused(copy: Path, empty: Workspace, tmp_path: Path, place: str) -> None:
    (copy / place).rename(tmp_path / "moved")
    (copy / place).symlink_to(tmp_path / "moved")
    with pytest.raises(PackDamaged, match="is a link; a pack holds files only"):
        unpack(copy, empty, Progress())


def test_what_is_no_pack_or_a_later_one_is_said(
    copy: Path, tmp_path: Path, empty: Workspace, reseal: Callable[..., None]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no tar")
    for path in (tmp_path / "folder", tmp_path / "file"):
        with pytest.raises(BadInput, match="is no pack"):
            unpack(path, empty, Progress())
    reseal(copy, lambda document: document.update(version=2))
    with pytest.raises(BadInput, match=r"Pack 'copy\.loupe' has version 2; this Loupe reads 1\. Update Loupe"):
        unpack(copy, empty, Progress())
