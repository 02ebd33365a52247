"""Backends are found by name, and other packages can add one: the guide's own example does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loaders.backends import names, open_loader
from loaders.csc import CscLoader
from loaders.errors import BadInput, StoreDamaged
from loaders.store import Store

GUIDE = Path(__file__).parents[2] / "docs" / "loaders.md"
COMPARE = """
import sys
from pathlib import Path
import numpy as np, scipy.sparse as sp
from loaders.backends import names, open_loader
from loaders.csc import CscLoader
directory, plug_in_dir = Path(sys.argv[1]), Path(sys.argv[2])
wanted = CscLoader(directory)
columns = [wanted.load(f) for f in range(wanted.features)]
pointers = np.cumsum([0, *(len(c.indices) for c in columns)])
parts = (np.concatenate([c.activations for c in columns]), np.concatenate([c.indices for c in columns]), pointers)
sp.save_npz(plug_in_dir / "matrix.npz", sp.csc_array(parts))
found = open_loader(plug_in_dir, "npz")
assert type(found).__name__ == "NpzLoader" and "npz" in names()
for f, column in enumerate(columns):
    np.testing.assert_array_equal(found.load(f).indices, column.indices)
    np.testing.assert_array_equal(found.load(f).activations, column.activations)
print("same")
"""


def install(directory: Path, module: str, entry_points: str) -> None:
    """What pip would leave behind for a package of one module."""
    (directory / "example_loader.py").write_text(module)
    information = directory / "example_loader-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: example-loader\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)


def python(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = f"{directory}:{Path(__file__).parents[2]}"
    return subprocess.run(
        [sys.executable, "-c", *arguments], env={"PYTHONPATH": paths}, capture_output=True, text=True, timeout=120
    )


def test_the_guides_backend_serves_the_same_activations(store: Store, tmp_path: Path) -> None:
    blocks = re.findall(r"```(python|toml)\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    module, declaration = (text for _, text in blocks)
    name, value = re.search(r'(\w+) = "(.+)"', declaration).groups()
    install(tmp_path, module, f"[loupe.loaders]\n{name} = {value}\n")
    done = python(tmp_path, COMPARE, str(store.directory), str(tmp_path))
    assert done.stdout == "same\n", done.stderr


def test_a_backend_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    install(tmp_path, "raise RuntimeError('no such library')", "[loupe.loaders]\nbroken = example_loader:Nothing\n")
    ask = "from pathlib import Path; from loaders.backends import open_loader; open_loader(Path('x'), 'broken')"
    done = python(tmp_path, ask)
    assert "BadInput: The loader 'broken' (example_loader:Nothing) cannot be loaded: no such library." in done.stderr


def test_an_unknown_backend_is_refused_with_those_that_are_there(store: Store) -> None:
    with pytest.raises(BadInput, match=r"no loader 'parquet'. Choose one of .*csc.*batch_scan"):
        open_loader(store.directory, "parquet")


def test_the_best_backend_that_is_there_is_taken(store: Store, tmp_path: Path) -> None:
    assert isinstance(open_loader(store.directory), CscLoader)
    with pytest.raises(StoreDamaged, match="has no activations for any of the loaders"):
        open_loader(tmp_path)
    with pytest.raises(StoreDamaged, match="has no activations for the loader 'csc'"):
        open_loader(tmp_path, "csc")


def test_every_backend_of_the_guide_exists() -> None:
    described = set(re.findall(r"^\| `(\w+)` \|", GUIDE.read_text(), re.MULTILINE))
    assert described == {*names(), "memory"}
