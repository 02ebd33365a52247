"""The same reconstructions as the real packages' own code, in both directions, for every architecture that is shared.

`python -m benchmarks.compat` runs each package in an environment of its own (`make compat` makes them). What it writes with its
own code is read by Loupe; what Loupe exports, into every format that can say it, is read by that format's package. Compared are
dense codes and reconstructions, in float32. What Loupe does not compute must be refused in a sentence."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.result import write_result
from loaders.errors import BadInput
from loaders.workspace import Workspace
from precompute.export_sae import export_sae
from precompute.formats import read_raw
from precompute.formats.raw import fold
from precompute.import_sae import Config, import_sae
from precompute.row_stages import RowStages
from precompute.saes.sae import Sae

SCRIPTS = Path(__file__).parent / "peers"
ENVIRONMENTS = {
    "saelens": ".venv-peers",
    "sparsify": ".venv-sparsify",
    "dictionary_learning": ".venv-dictionary-learning",
}
QUIET = {**os.environ, "TQDM_DISABLE": "1"}
TOLERANCE = 1e-5  # of the largest value


class Values(NamedTuple):
    """What an SAE makes of rows [rows, d_in]."""

    rebuilt: np.ndarray  # (rows, d_in)
    codes: np.ndarray  # (rows, d_sae)


def largest_difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, relative to the largest value of `wanted`, to two digits."""
    return float(f"{np.abs(found - wanted).max() / np.abs(wanted).max():.1e}")


@torch.no_grad()
def values_of(sae: Sae, rows: np.ndarray) -> Values:
    active, rebuilt = RowStages.of(sae.extra).code(sae, torch.from_numpy(rows))[1:]
    codes = np.zeros((len(rows), sae.d_sae), np.float32)
    codes[np.repeat(np.arange(len(rows)), active.indptr.diff().numpy()), active.indices.numpy()] = active.values.numpy()
    return Values(rebuilt.numpy(), codes)


def values_in(directory: Path) -> Values:
    return Values(np.load(directory / "rebuilt.npy"), np.load(directory / "codes.npy"))


def said(directory: Path) -> dict[str, Any]:
    """What the package found there on model and hook point."""
    found: dict[str, Any] = json.loads((directory / "said.json").read_text())
    return found


def peer(python: str, name: str, *words: str) -> str:
    """Run a command of the peer's script and return what it prints."""
    script = str(SCRIPTS / f"{name}_compat.py")
    return subprocess.run([python, script, *words], check=True, stdout=subprocess.PIPE, text=True, env=QUIET).stdout


def read_cases(name: str, written: Path, exported: Path, workspace: Workspace) -> dict[str, Any]:
    """By case: how far Loupe's values are from those of the package that wrote it; exports lie below `exported` then."""
    cases: dict[str, Any] = {}
    for directory in sorted((written / "cases").iterdir()):
        rows, wanted = np.load(directory / "rows.npy"), values_in(directory)
        sae = fold(read_raw(directory))
        found = values_of(sae, rows)
        cases[directory.name] = {
            "architecture": sae.architecture,
            "active": round(float((wanted.codes > 0).sum(1).mean()), 1),
            "read": {key: largest_difference(getattr(found, key), getattr(wanted, key)) for key in Values._fields},
            "written": {},
        }
        sae_id = f"{name}.{directory.name}"
        import_sae(Config(str(directory), sae_id), workspace)
        for format_name in ENVIRONMENTS:
            target = exported / format_name / sae_id
            try:
                export_sae(workspace, sae_id, format_name, target)
            except BadInput:
                continue
            np.save(target / "rows.npy", rows)
    return cases


def refusals(written: Path) -> dict[str, str | None]:
    """By case: the sentence that refuses it, or None where it was read."""
    sentences: dict[str, str | None] = {}
    for directory in sorted((written / "refused").iterdir()):
        try:
            fold(read_raw(directory))
            sentences[directory.name] = None
        except BadInput as error:
            sentences[directory.name] = str(error)
    return sentences


def compare(pythons: dict[str, str], root: Path) -> dict[str, Any]:
    """By peer: versions, cases and refusals."""
    exported, workspace, found = root / "exported", Workspace(root / "workspace"), {}
    for name, python in pythons.items():
        peer(python, name, "write", str(root / "written" / name))
        found[name] = {
            "versions": json.loads(peer(python, name, "versions").splitlines()[-1]),
            "cases": read_cases(name, root / "written" / name, exported, workspace),
            "refused": refusals(root / "written" / name),
        }
    for format_name, python in pythons.items():
        peer(python, format_name, "rebuild", str(exported / format_name))
        for directory in sorted((exported / format_name).iterdir()):
            name, case = directory.name.split(".", 1)
            wanted = values_in(root / "written" / name / "cases" / case).rebuilt
            case_found = found[name]["cases"][case]
            case_found["written"][format_name] = largest_difference(values_in(directory).rebuilt, wanted)
            if format_name == name:
                case_found["keeps_metadata"] = said(directory) == said(root / "written" / name / "cases" / case)
    return found


def failures(found: dict[str, Any]) -> list[str]:
    """Cases beyond the tolerance, or without their metadata after a round trip, and what was read but must be refused."""
    words = []
    for name, result in found.items():
        for case, values in result["cases"].items():
            differences = [*values["read"].values(), *values["written"].values()]
            if not all(difference <= TOLERANCE for difference in differences) or not values.get("keeps_metadata"):
                words.append(f"{name} {case}: {values}")
        words += [f"{name} {case} was read" for case, sentence in result["refused"].items() if sentence is None]
    return words


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, environment in ENVIRONMENTS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=f"{environment}/bin/python", help=f"python of {name}'s environment")
    pythons = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as directory:
        found = compare(pythons, Path(directory))
    failed = failures(found)
    write_result("compat", {"tolerance": TOLERANCE, "peers": found, "failed": failed})
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
