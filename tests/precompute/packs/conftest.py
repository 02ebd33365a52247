"""A pack of the small store in both forms, and what somebody who means harm does to one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loaders.manifest import file_sha256
from loaders.seal import sealed
from loaders.workspace import Workspace
from precompute.packing import pack
from precompute.progress import Progress

STORE = "tiny-l0@texts"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def packed(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(workspace, STORE, tmp_path_factory.mktemp("packed") / "tiny.loupe", False, True, Progress()).path


@pytest.fixture(scope="module")
def packed_tar(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(workspace, STORE, tmp_path_factory.mktemp("packed") / "tiny.tar", True, True, Progress()).path


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy.loupe"))


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "recipient")


@pytest.fixture
def files_of() -> Callable[[Path], dict[str, str]]:
    """The sha256 of every file below a directory."""
    return lambda directory: {
        path.relative_to(directory).as_posix(): file_sha256(path) for path in directory.rglob("*") if path.is_file()
    }


@pytest.fixture
def rewrite() -> Callable[[Path, Change], None]:
    """Change a JSON file, and seal it again where it had a seal."""

    def call(path: Path, change: Change) -> None:
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(sealed(document) if "checksum" in document else document))

    return call


@pytest.fixture
def reseal(rewrite: Callable[[Path, Change], None]) -> Callable[..., None]:
    """Make the list of a pack fit its files again."""

    def call(copy: Path, change: Change = lambda document: None) -> None:
        def fit(document: dict[str, Any]) -> None:
            for name, entry in document["files"].items():
                if (copy / name).is_file():
                    entry.update(bytes=(copy / name).stat().st_size, sha256=file_sha256(copy / name))
            change(document)

        rewrite(copy / "pack.json", fit)

    return call


@pytest.fixture
def require_nothing_visible() -> Callable[[Workspace], None]:
    """Fail unless a workspace shows no store, no SAE and no file."""

    def call(workspace: Workspace) -> None:
        assert workspace.store_ids() == workspace.sae_ids() == []
        assert [path for path in workspace.root.rglob("*") if path.is_file()] == []

    return call
