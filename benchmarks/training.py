"""Loupe's SAE trainer beside sparsify, dictionary_learning and SAELens as they ship, each in an environment of its own.

`python -m benchmarks.training --workspace W --python-sparsify P --python-dictionary-learning P --python-saelens P`. Speed:
all trainers take turns in one run. Quality: held-out FVU after equal rows and equal time, and a planted dictionary. With
`--only`, one part is measured, and its result is a file of its own."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import training_speed
from benchmarks.result import RESULTS, write_result
from benchmarks.training_claims import claims, show
from benchmarks.training_data import Planted, make_workspace, write_planted, write_rows
from benchmarks.training_process import ROOMY_HEAP, Task, Trainer, own
from benchmarks.training_quality import Runs, measure_fvu, measure_planted
from benchmarks.training_speed import LOUPE, PRODUCT, SAELENS, WHOLE

PARTS = ("speed", "quality", "planted")
PACKAGES = {"sparsify": "eai-sparsify", "dictionary_learning": "dictionary-learning", SAELENS: "sae-lens"}
ROUNDS = {"small": (15, 3), "large": (11, 2)}  # rounds, and steps per turn


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        figures = measure(options, work)
    figures["claims"] = claims(figures)
    write_result("training" if options.only is None else f"training_{options.only}", figures)
    show(figures)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--workspace", type=Path, help="with the demo's captured activations; made where they are missing"
    )
    parser.add_argument("--work", type=Path, help="folder for the rows; made anew where none is given")
    parser.add_argument(
        "--runs", type=Path, default=RESULTS / "training_runs.json", help="the peers' finished runs, which count again"
    )
    parser.add_argument("--python-sparsify", default=".venv-sparsify/bin/python")
    parser.add_argument("--python-dictionary-learning", default=".venv-dictionary-learning/bin/python")
    parser.add_argument("--python-saelens", default=".venv-peers/bin/python")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.work is not None:
        options.work = options.work.absolute()  # the trainers run in folders of their own
    for name in ("python_sparsify", "python_dictionary_learning", "python_saelens"):
        setattr(options, name, str(Path(getattr(options, name)).absolute()))
    return options


def trainers(options: argparse.Namespace) -> dict[str, Trainer]:
    """Everyone who is measured, by name; the peers' names begin with their package's."""
    sparsify = Trainer("train_sparsify.py", options.python_sparsify, "adam")
    signum = sparsify._replace(optimiser="signum")
    return {
        PRODUCT: own("train_product.py"),
        LOUPE: own("train_loupe.py"),
        WHOLE: own("train_loupe.py")._replace(optimiser="float32"),
        "sparsify (signum)": signum,
        "sparsify (adam)": sparsify,
        "sparsify (signum, roomy heap)": signum._replace(environment=ROOMY_HEAP),
        "sparsify (adam, roomy heap)": sparsify._replace(environment=ROOMY_HEAP),
        "dictionary_learning": Trainer("train_dictionary_learning.py", options.python_dictionary_learning),
        SAELENS: Trainer("train_saelens.py", options.python_saelens),
    }


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All parts, or the one asked for, with what they were measured on."""
    planted = Planted()
    tasks = {
        "small": Task(work / "small", 384, 3_072, 32, 4_096, 200),
        "large": Task(work / "large", 768, 16_384, 32, 2_048, 30),
        "planted": Task(work / "planted", planted.width, 16 * planted.width, 16, 2_048, 400),
    }
    if not (work / "planted" / "directions.npy").is_file():
        write_rows(make_workspace(options.workspace or work / "workspace"), tasks["small"].data, tasks["large"].data)
        write_planted(planted, tasks["planted"].data)
    everyone = trainers(options)
    figures: dict[str, Any] = {"threads": options.threads, "peers": versions(everyone)}
    runs = Runs(options.runs, everyone, tasks, options.threads, figures["peers"])
    wanted = PARTS if options.only is None else (options.only,)
    if "speed" in wanted:
        figures["speed"] = {
            name: training_speed.measure(everyone, tasks[name], *ROUNDS[name], options.threads) for name in ROUNDS
        }
    if "quality" in wanted:
        figures["quality"] = {
            name: measure_fvu(runs, name, figures.get("speed", {}).get(name)) for name in ("small", "large")
        }
    if "planted" in wanted:
        figures["planted"] = {**planted._asdict(), **measure_planted(runs, "planted")}
    return figures


def versions(everyone: dict[str, Trainer]) -> dict[str, dict[str, str]]:
    """Versions of each peer and of its torch."""
    found = {}
    for name, package in PACKAGES.items():
        python = next(trainer.python for key, trainer in everyone.items() if key.startswith(name))
        asked = f"from importlib.metadata import version as v; print(v('{package}'), v('torch'))"
        answer = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True)
        found[package] = dict(zip((package, "torch"), answer.stdout.split(), strict=True))
    return found


if __name__ == "__main__":
    sys.exit(main())
