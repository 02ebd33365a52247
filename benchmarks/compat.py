"""The same reconstructions as SAELens's own code, in both directions, for every architecture that is shared.

`python -m benchmarks.compat --python PYTHON`, where PYTHON is that of an environment with sae-lens."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from loaders.workspace import Workspace
from precompute.export_sae import export_sae
from precompute.formats import read_raw
from precompute.formats.raw import fold
from precompute.import_sae import Config, import_sae
from precompute.saes import INFERENCE
from precompute.saes.sae import Sae, decode

PEER = Path(__file__).parent / "peers" / "saelens_compat.py"
TOLERANCE = 1e-5


def largest_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference of two reconstructions, relative to the largest value of the second."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@torch.no_grad()
def rebuilt(sae: Sae, rows: np.ndarray) -> np.ndarray:
    return decode(sae, INFERENCE[sae.architecture].encode_sparse(sae, torch.from_numpy(rows))).numpy()


def compare(python: str, root: Path) -> dict[str, dict[str, float]]:
    """By case: the difference of what is read from SAELens, and of what SAELens reads from an export."""
    written, exported, workspace = root / "written", root / "exported", Workspace(root / "workspace")
    subprocess.run([python, str(PEER), "write", str(written)], check=True)
    differences: dict[str, dict[str, float]] = {}
    for directory in sorted(written.iterdir()):
        rows, wanted = np.load(directory / "rows.npy"), np.load(directory / "rebuilt.npy")
        differences[directory.name] = {"read": largest_difference(rebuilt(fold(read_raw(directory)), rows), wanted)}
        import_sae(Config(str(directory), directory.name), workspace)
        export_sae(workspace, directory.name, "saelens", exported / directory.name)
        np.save(exported / directory.name / "rows.npy", rows)
    subprocess.run([python, str(PEER), "rebuild", str(exported)], check=True)
    for name, found in differences.items():
        wanted = np.load(written / name / "rebuilt.npy")
        found["written"] = largest_difference(np.load(exported / name / "rebuilt.npy"), wanted)
    return differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=".venv-peers/bin/python", help="python of an environment with sae-lens")
    with tempfile.TemporaryDirectory() as directory:
        found = compare(parser.parse_args().python, Path(directory))
    print(json.dumps({"saelens": found, "tolerance": TOLERANCE}, indent=1))
    return int(any(value > TOLERANCE for case in found.values() for value in case.values()))


if __name__ == "__main__":
    sys.exit(main())
