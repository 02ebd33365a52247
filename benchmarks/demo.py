"""`loupe demo` from an empty workspace, as a user runs it: when each part can be explored, and the memory of all processes."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from benchmarks.browser import answers, free_port
from benchmarks.result import write_result
from loaders.manifest import is_published
from loaders.workspace import Workspace

EXPLORER_TABLES = {"stats", "histograms", "tokens", "map"}
ALL_TABLES = EXPLORER_TABLES | {"idf", "breakdowns", "influences", "neighbours"}
SETS = {"minilm": 3, "grammar": 4}


def anonymous_bytes(root: psutil.Process) -> int:
    """Anonymous memory of a process and all of its children."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) * 1024
        except (OSError, StopIteration):
            continue
    return total


def stores_of(address: str) -> list[dict[str, Any]]:
    """The stores that the server lists, with the tables that they have by now."""
    with urllib.request.urlopen(f"{address}/api/v1/stores", timeout=10) as reply:
        return list(json.load(reply)["items"])


def reached(workspace: Workspace, address: str) -> set[str]:
    """Which of the stages a visitor of the server finds complete."""
    found: set[str] = set()
    tables = {item["id"]: set(workspace.open_store(item["id"]).manifest["tables"]) for item in stores_of(address)}
    if any(there >= EXPLORER_TABLES for store, there in tables.items() if store.startswith("minilm-")):
        found.add("first_layer_explorer_s")
    for name, layers in SETS.items():
        complete = sum(there >= ALL_TABLES for store, there in tables.items() if store.startswith(name + "-"))
        if complete == layers and is_published(workspace.layers_dir(name)):
            found.add(f"{name}_complete_s")
    return found


def measure(directory: Path) -> dict[str, Any]:
    """Run the demo to its end and return seconds from the start for each stage, and the peak of anonymous memory."""
    port, start = free_port(), time.monotonic()
    address, workspace = f"http://127.0.0.1:{port}", Workspace(directory)
    command = [sys.executable, "-m", "loupe", "demo", "--workspace", str(directory), "--port", str(port)]
    process = subprocess.Popen(command)
    watched, figures, peak = psutil.Process(process.pid), dict[str, Any](), 0
    wanted = {"first_layer_explorer_s", *(f"{name}_complete_s" for name in SETS)}
    try:
        while not wanted <= figures.keys():
            if process.poll() is not None or time.monotonic() - start > 3600:
                raise SystemExit(f"The demo ended early with {process.poll()}; reached {figures}.")
            time.sleep(0.5)
            peak = max(peak, anonymous_bytes(watched))
            if "first_page_s" not in figures and answers(address + "/"):
                figures["first_page_s"] = round(time.monotonic() - start, 1)
            if "first_page_s" in figures:
                for stage in reached(workspace, address) - figures.keys():
                    figures[stage] = round(time.monotonic() - start, 1)
    finally:
        process.terminate()
        process.wait()
    figures["grammar_after_minilm_s"] = round(figures["grammar_complete_s"] - figures["minilm_complete_s"], 1)
    figures["peak_anonymous_gib"] = round(peak / 2**30, 2)
    return figures


def describe(workspace: Workspace) -> dict[str, Any]:
    """Quality of every SAE, and the size of the workspace."""
    quality = {store: workspace.open_store(store).manifest["quality"] for store in workspace.store_ids()}
    size = sum(path.stat().st_size for path in workspace.root.rglob("*") if path.is_file())
    return {"quality": quality, "workspace_gb": round(size / 1e9, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", help="directory for the workspace; by default a temporary one, removed afterwards")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(parsed.keep or temporary)
        if directory.exists() and any(directory.iterdir()):
            raise SystemExit(f"'{directory}' is not empty; the demo is measured from an empty workspace.")
        figures = measure(directory)
        write_result("demo", {**figures, **describe(Workspace(directory))})


if __name__ == "__main__":
    main()
