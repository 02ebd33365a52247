"""One feature from a csc store against copying both slices out of the raw maps, and the server's memory by store size."""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.result import write_result
from loaders.csc import CscLoader
from loaders.raw import open_raw
from precompute.raw import create_group, write_raw


def write_csc(directory: Path, features: int, samples: int, density: float) -> Path:
    """A random feature-major store, `features.zarr` alone."""
    rng = np.random.default_rng(0)
    counts = rng.binomial(samples, density, features)
    group = create_group(directory / "features.zarr", {"encoding-type": "csc_matrix", "shape": [samples, features]})
    write_raw(group, "indptr", np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    indices = np.concatenate([np.sort(rng.choice(samples, n, replace=False)) for n in counts])
    write_raw(group, "indices", indices.astype(np.uint32))
    write_raw(group, "data", rng.random(len(indices), dtype=np.float32))
    return directory


def anonymous_mib() -> float:
    """Anonymous memory of this process in MiB."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:")) / 1024


def time_features(directory: Path, ids: np.ndarray) -> tuple[list[float], list[float]]:
    """Microseconds per feature, interleaved: the loader and a copy of what it returns; both slices of the maps copied."""
    loader, group = CscLoader(directory), directory / "features.zarr"
    indptr, indices, data = (open_raw(group / name) for name in ("indptr", "indices", "data"))
    ours, plain = [], []
    for feature in ids.tolist() * 2:  # the first round warms the page cache
        start = time.perf_counter()
        found = loader.load(feature)
        found.indices.copy(), found.activations.copy()
        middle = time.perf_counter()
        low, high = indptr[feature], indptr[feature + 1]
        indices[low:high].copy(), data[low:high].copy()
        ours.append((middle - start) * 1e6)
        plain.append((time.perf_counter() - middle) * 1e6)
    return ours[len(ids) :], plain[len(ids) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=4096)
    parser.add_argument("--samples", type=int, default=500_000)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = write_csc(Path(temporary) / "large", parsed.features, parsed.samples, 0.01)
        small = write_csc(Path(temporary) / "small", parsed.features, parsed.samples // 10, 0.01)
        ids = np.random.default_rng(1).choice(parsed.features, 1000, replace=False)
        ours, plain = time_features(store, ids)
        growth = {}
        for name, directory in (("small", small), ("large", store)):
            before = anonymous_mib()
            loader = CscLoader(directory)
            for feature in ids.tolist():
                loader.load(feature)
            growth[name] = round(anonymous_mib() - before, 2)
    figures = {
        "features": parsed.features,
        "samples": parsed.samples,
        "density": 0.01,
        "loader_with_copy_us_median": round(float(np.median(ours)), 2),
        "raw_copies_us_median": round(float(np.median(plain)), 2),
        "ratio": round(float(np.median(ours) / np.median(plain)), 3),
        "must_reach_ratio": 1.5,
        "anonymous_mib_after_1000_features": growth,
    }
    write_result("loading", figures)


if __name__ == "__main__":
    main()
