"""One feature out of each layout that Loupe reads, interleaved; and how fast a store of 131,072 features opens."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.loading import write_csc
from benchmarks.result import write_result
from benchmarks.tables import STORE, write_workspace
from loaders.csc import CscLoader
from loaders.neuron_acts import NeuronActsLoader
from loaders.protocol import FeatureActivations
from loaders.raw import open_raw
from loaders.transposed import TransposedLoader
from precompute import dense, per_feature, publish, transpose
from precompute.progress import Progress
from precompute.raw import create_group, write_raw
from precompute.tables import histograms, idf, stats

MEMORY = 2**30
LONG = 500_000  # non-zeros of the longest feature
OPENED = """
import json, sys, time
from benchmarks.loading import anonymous_mib
from loaders.workspace import Workspace
before, start = anonymous_mib(), time.perf_counter()
store = Workspace(sys.argv[1]).open_store(sys.argv[2])
found = store.activations(store.features - 1)
print(json.dumps([time.perf_counter() - start, anonymous_mib() - before, store.features]))
"""


class _RawCopies(NamedTuple):
    """The least that any loader can do: both slices of the maps."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    def load(self, feature: int) -> FeatureActivations:
        low, high = self.indptr[feature], self.indptr[feature + 1]
        return FeatureActivations(self.indices[low:high], self.data[low:high])


def measure_layouts(features: int, samples: int, density: float, rounds: int) -> dict[str, Any]:
    """Median microseconds for one feature from every layout and from the raw maps, the same features in turn."""
    with tempfile.TemporaryDirectory() as temporary:
        store = write_csc(Path(temporary), features, samples, density)
        for layout in (dense, per_feature):
            layout.write(store, MEMORY, Progress())
        ids = np.random.default_rng(1).choice(features, rounds, replace=False).tolist()
        loaders = {"csc": CscLoader(store), "npy_pairs": NeuronActsLoader(store), "dense_zarr": TransposedLoader(store)}
        copies = _RawCopies(*(open_raw(store / "features.zarr" / name) for name in ("indptr", "indices", "data")))
        readers = {"raw_copies": copies.load, **{name: loader.load for name, loader in loaders.items()}}
        for _ in range(2):  # the first round warms the page cache
            seconds: dict[str, list[float]] = {name: [] for name in readers}
            for turn in range(rounds):
                for place, (name, load) in enumerate(readers.items()):
                    feature = ids[(turn + place * rounds // len(readers)) % rounds]  # never what another has just read
                    start = time.perf_counter()
                    found = load(feature)
                    found.indices.copy(), found.activations.copy()
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(found)) * 1e6 for name, found in seconds.items()}
    return {
        "features": features,
        "samples": samples,
        "density": density,
        "median_us": {name: round(value, 2) for name, value in medians.items()},
        "csc_over_raw_copies": round(medians["csc"] / medians["raw_copies"], 2),
        "dense_zarr_over_csc": round(medians["dense_zarr"] / medians["csc"], 1),
        "npy_pairs_over_csc": round(medians["npy_pairs"] / medians["csc"], 1),
        "must_reach": {"csc_over_raw_copies": 1.5, "dense_zarr_over_csc": 100, "npy_pairs_over_csc": 5},
    }


def measure_long() -> dict[str, Any]:
    """Median milliseconds for one feature of 500,000 non-zeros, copied out of the map."""
    with tempfile.TemporaryDirectory() as temporary:
        group = create_group(
            Path(temporary) / "features.zarr", {"encoding-type": "csc_matrix", "shape": [5 * LONG, 2], "nnz": LONG}
        )
        write_raw(group, "indptr", np.array([0, LONG, LONG]))
        write_raw(group, "indices", (np.arange(LONG) * 5).astype(np.uint32))
        write_raw(group, "data", np.random.default_rng(0).random(LONG, dtype=np.float32))
        loader, taken = CscLoader(Path(temporary)), []
        for _ in range(20):
            start = time.perf_counter()
            found = loader.load(0)
            found.indices.copy(), found.activations.copy()
            taken.append((time.perf_counter() - start) * 1000)
    return {"nonzeros": LONG, "median_ms": round(float(np.median(taken)), 3), "must_reach_ms": 5}


def measure_opening(features: int, samples: int) -> dict[str, Any]:
    """Seconds and anonymous MiB that a fresh process needs to open a published store and read one feature."""
    with tempfile.TemporaryDirectory() as temporary:
        workspace = write_workspace(Path(temporary), features, samples, 32)
        for step in (transpose, stats, histograms, idf, publish):
            step.run(step.Config(store=STORE), workspace, Progress())
        found = []
        for _ in range(5):
            command = [sys.executable, "-c", OPENED, temporary, STORE]
            found.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    seconds, mebibytes, opened = (float(np.median(column)) for column in zip(*found, strict=True))
    return {
        "features": int(opened),
        "median_s": round(seconds, 3),
        "median_anonymous_mib_over_imports": round(mebibytes, 1),
        "must_reach": {"median_s": 0.3, "median_anonymous_mib_over_imports": 50},
    }


def measure() -> dict[str, Any]:
    """Everything at the sizes that are promised."""
    return {
        "one_feature": measure_layouts(4_096, 500_000, 0.01, 200),
        "longest_feature": measure_long(),
        "opening": measure_opening(131_072, 100_000),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_result("layouts", measure())


if __name__ == "__main__":
    main()
