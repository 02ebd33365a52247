"""Step `verify`: hash every file of published directories and compare with their manifests."""

from dataclasses import dataclass
from pathlib import Path

from loaders.errors import StoreDamaged
from loaders.manifest import check_files, is_published, read_manifest
from loaders.seal import KEY, is_intact
from loaders.workspace import Workspace
from precompute.progress import Progress

KINDS = {"datasets": "dataset", "stores": "store", "layers": "layers"}


@dataclass(frozen=True)
class Config:
    """What to verify: everything that is published."""


def run(config: Config, workspace: Workspace, progress: Progress) -> Path:
    """Hash all files of all datasets, stores and layer matches; raises StoreDamaged that names the first one at fault."""
    found = [
        (directory, kind)
        for folder, kind in KINDS.items()
        for directory in sorted((workspace.root / folder).glob("*"))
        if is_published(directory)
    ]
    with progress.step("verify", len(found), "directories") as bar:
        for directory, kind in found:
            manifest = read_manifest(directory, kind)
            if KEY in manifest and not is_intact(manifest):
                raise StoreDamaged(
                    f"The manifest of '{directory.name}' was altered: its checksum does not fit. Rebuild it."
                )
            check_files(directory, manifest, hashes=True)
            bar.advance(1, directory.name)
    return workspace.root
