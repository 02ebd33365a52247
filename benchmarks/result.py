"""Write a benchmark's result: figures, command, versions and the kind of machine."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("dash", "numpy", "plotly", "pyarrow", "scipy", "torch", "transformers")


def machine() -> dict[str, Any]:
    """Cores, memory and processor, without names."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1), "processor": model}


def write_result(name: str, figures: dict[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json and print it."""
    document = {
        "benchmark": name,
        "command": "python -m " + " ".join([_module(), *map(_without_folder, sys.argv[1:])]),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
        "figures": figures,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(json.dumps(document, indent=2))
    return path


def _module() -> str:
    return f"benchmarks.{Path(sys.argv[0]).stem}"


def _without_folder(word: str) -> str:
    """A word of the command; of a path on this machine the last part, as the folders mean nothing elsewhere."""
    return Path(word).name if Path(word).is_absolute() else word
