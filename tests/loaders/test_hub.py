"""What a hub lists and resolves; nothing that its documents say is believed unchecked."""

import json
from pathlib import Path
from typing import Any

import pytest

from loaders.errors import BadInput, StoreDamaged
from loaders.hub import Hub
from loaders.hub_place import FolderPlace
from loaders.hub_schema import DOCUMENT, read_artifact
from loaders.hub_version import read_range
from loaders.seal import sealed

DIGEST = "0" * 64


def document(name: str = "a", version: str = "1.0.0", **changed: Any) -> dict[str, Any]:
    """A whole document of a small SAE, sealed after the changes."""
    return sealed(
        {
            "format": "loupe-artifact",
            "format_version": 1,
            "name": name,
            "version": version,
            "kind": "sae",
            "license": "Apache-2.0",
            "description": "",
            "tags": [],
            "created": "2026-01-01T00:00:00Z",
            "author": "",
            "model": {"name": "tiny", "fingerprint": DIGEST},
            "dataset": None,
            "saes": [
                {
                    "id": "s", "fingerprint": DIGEST, "hook": "h", "architecture": "topk", "d_in": 4, "features": 8,
                    "quality": {"fvu": 0.1},
                }
            ],
            "contents": [{"folder": "saes", "id": "s", "fingerprint": DIGEST}],
            "files": [{"path": "saes/s/cfg.json", "size": 2, "sha256": DIGEST}],
            "dependencies": [],
            "schema_version": 1,
            "loupe_version": "0.1.0",
            **changed,
        }
    )  # fmt: skip


def file(path: str) -> dict[str, Any]:
    return {"path": path, "size": 1, "sha256": DIGEST}


def content(folder: str, name: str) -> dict[str, Any]:
    return {"folder": folder, "id": name, "fingerprint": DIGEST}


def needs(**ranges: str) -> list[dict[str, str]]:
    return [{"name": name, "versions": versions} for name, versions in ranges.items()]


def publish(root: Path, made: dict[str, Any]) -> None:
    folder = root / made["name"] / made["version"]
    folder.mkdir(parents=True)
    (folder / DOCUMENT).write_text(json.dumps(made))


def hub_of(root: Path, *documents: dict[str, Any]) -> Hub:
    for made in documents:
        publish(root, made)
    return Hub(FolderPlace(root)).refresh()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"files": [file("saes/s/../../../x")]}, "cannot be a file"),
        ({"files": [file("/etc/passwd")]}, "cannot be a file"),
        ({"files": [file("saes/s/checkpoints/step_1.pt")]}, "cannot be a file"),
        ({"files": [file("saes/other/cfg.json")]}, "cannot be a file"),
        ({"files": [file("saes/s/.hidden.json")]}, "cannot be a file"),
        ({"files": [file("saes/s/cfg.json"), file("saes/s/CFG.json")]}, "twice"),
        ({"files": [file("saes/s/cfg.json")] * 2}, "twice"),
        ({"files": []}, "files"),
        ({"files": [{"path": "saes/s/cfg.json", "size": -1, "sha256": DIGEST}]}, "size"),
        ({"files": [{"path": "saes/s/cfg.json", "size": "2", "sha256": DIGEST}]}, "size"),
        ({"files": [{"path": "saes/s/cfg.json", "size": 2, "sha256": "short"}]}, "sha256"),
        ({"contents": [content("saes", "../s")]}, "cannot hold"),
        ({"contents": [content("stores", "s@d")]}, "holds one of saes"),
        ({"contents": [content("saes", "s"), content("datasets", "d")]}, "cannot hold"),
        ({"kind": "store"}, "holds one of stores"),
        ({"kind": "model"}, "kind"),
        ({"license": ""}, "license"),
        ({"license": "<script>"}, "license"),
        ({"version": "1"}, "version"),
        ({"tags": ["Not A Slug"]}, "tags"),
        ({"dependencies": needs(b="nonsense")}, "range"),
        ({"saes": [{"id": "s"}]}, "saes"),
        ({"created": "yesterday"}, "created"),
    ],
)
def test_a_document_that_cannot_be_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    made = document(**changed)
    with pytest.raises(StoreDamaged, match=reason):
        read_artifact(json.dumps(made).encode(), "a", made["version"])


def test_files_below_another_file_are_refused() -> None:
    made = document(
        kind="dataset",
        contents=[content("datasets", "d")],
        files=[file("datasets/d/a.json"), file("datasets/d/a.json/b.json")],
    )
    with pytest.raises(StoreDamaged, match="lies in what is a file"):
        read_artifact(json.dumps(made).encode(), "a", "1.0.0")


@pytest.mark.parametrize("data", [b"{", b"[]", b"null", b"[" * 100_000, b'{"format": "other"}'])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(StoreDamaged):
        read_artifact(data, "a", "1.0.0")


def test_an_altered_document_and_one_in_another_place_are_refused() -> None:
    altered = document() | {"license": "MIT"}
    with pytest.raises(StoreDamaged, match="checksum"):
        read_artifact(json.dumps(altered).encode(), "a", "1.0.0")
    with pytest.raises(StoreDamaged, match=r"describes 'a@1\.0\.0'"):
        read_artifact(json.dumps(document()).encode(), "b", "1.0.0")


def test_a_later_format_asks_for_a_newer_loupe() -> None:
    with pytest.raises(BadInput, match="Update Loupe"):
        read_artifact(json.dumps(document(format_version=2)).encode(), "a", "1.0.0")


def test_the_newest_release_comes_first_and_prereleases_only_when_named(tmp_path: Path) -> None:
    versions = ("1.2.0", "1.10.0", "2.0.0-rc.1", "0.9.0")
    hub = hub_of(tmp_path, *(document(version=version) for version in versions))
    assert [each.version for each in hub.artifacts()] == ["2.0.0-rc.1", "1.10.0", "1.2.0", "0.9.0"]
    assert [each.version for each in hub.artifacts(newest_only=True)] == ["1.10.0"]
    assert hub.find("a", read_range("*")).version == "1.10.0"
    assert hub.find("a", read_range("<1.10")).version == "1.2.0"
    assert hub.find("a", read_range("2.0.0-rc.1")).version == "2.0.0-rc.1"
    with pytest.raises(BadInput, match=r"it has 2\.0\.0-rc\.1, 1\.10\.0"):
        hub.find("a", read_range("^3"))
    with pytest.raises(BadInput, match="no artifact 'b'"):
        hub.find("b", read_range("*"))


def test_one_damaged_document_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    hub = hub_of(tmp_path, document("a"), document("b"), document("c"))
    (tmp_path / "b" / "1.0.0" / DOCUMENT).write_text("{")
    (tmp_path / "Not a name").mkdir()
    (tmp_path / "d" / "1.0.0").mkdir(parents=True)  # begun and not published
    hub.refresh()
    assert [each.name for each in hub.artifacts()] == ["a", "c"]
    assert len(hub.faults) == 1 and "'b/1.0.0/artifact.json'" in hub.faults[0]
    assert hub.has("b", "1.0.0") and not hub.has("d", "1.0.0")
    with pytest.raises(BadInput, match="not valid JSON"):
        hub.find("b", read_range("*"))


def test_a_new_version_is_seen_and_what_was_removed_is_forgotten(tmp_path: Path) -> None:
    hub = hub_of(tmp_path, document())
    publish(tmp_path, document(version="1.1.0"))
    assert [each.version for each in hub.refresh().artifacts()] == ["1.1.0", "1.0.0"]
    (tmp_path / "a" / "1.1.0" / DOCUMENT).unlink()
    assert [each.version for each in hub.refresh().artifacts()] == ["1.0.0"]


def test_dependencies_come_first_in_the_newest_version_that_suits_all(tmp_path: Path) -> None:
    hub = hub_of(
        tmp_path,
        document("top", dependencies=needs(left="^1", right="*")),
        document("left", "1.0.0", dependencies=needs(base="^1")),
        document("right", "3.0.0", dependencies=needs(base="~1.2")),
        *(document("base", version) for version in ("1.0.0", "1.2.7", "1.5.0", "2.0.0")),
    )
    found = hub.with_dependencies(hub.find("top", read_range("*")))
    assert [each.reference for each in found] == ["base@1.2.7", "left@1.0.0", "right@3.0.0", "top@1.0.0"]


def test_dependencies_that_exclude_each_other_or_go_in_a_circle_are_refused(tmp_path: Path) -> None:
    hub = hub_of(
        tmp_path,
        document("top", dependencies=needs(left="*", base="^2")),
        document("left", dependencies=needs(base="^1")),
        document("base", "1.0.0"),
        document("base", "2.0.0"),
        document("one", dependencies=needs(two="*")),
        document("two", dependencies=needs(one="*")),
        document("lost", dependencies=needs(nothing="*")),
        document("three", dependencies=needs(four="*")),
        document("four", dependencies=needs(five="*")),
        document("five", dependencies=needs(four="*")),
    )
    with pytest.raises(BadInput, match=r"no version of 'base' that is \^1 and \^2"):
        hub.with_dependencies(hub.find("top", read_range("*")))
    for name in ("one", "three"):
        with pytest.raises(BadInput, match="needs itself"):
            hub.with_dependencies(hub.find(name, read_range("*")))
    with pytest.raises(BadInput, match="no artifact 'nothing'"):
        hub.with_dependencies(hub.find("lost", read_range("*")))


def test_a_folder_that_is_not_there_is_no_hub(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no hub at"):
        Hub(FolderPlace(tmp_path / "gone")).refresh()
