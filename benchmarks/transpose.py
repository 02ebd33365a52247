"""Transposing 200 M activations: time against SciPy's in-memory `tocsc`, anonymous memory, and the disk's own speed.

The step runs in a process of its own, watched from outside: its peak of anonymous memory includes the interpreter. SciPy
turns a slice of the same activations before and after the step, the disk writes and reads as many bytes as the step."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.result import write_result
from loaders.workspace import Workspace
from precompute.disk import in_bytes, require_space
from precompute.progress import Progress
from precompute.sample_blocks import SampleBlocks, write_batch

STORE = "sae@synthetic"
K = 32
BATCH_SAMPLES = 65_536
SLICE_NNZ = 64_000_000
POPULARITY = 0.7  # feature of rank r is drawn in proportion to r^-0.7
SECONDS_BETWEEN_LOOKS = 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nnz", type=int, default=200_000_000)
    parser.add_argument("--features", type=int, default=16_384)
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument(
        "--step", metavar="WORKSPACE", help="only transpose that workspace's store, and say how long it took"
    )
    parsed = parser.parse_args()
    if parsed.step:
        print(json.dumps(_run_step(Path(parsed.step), parsed.memory)))
    else:
        write_result("transpose", measure(parsed.nnz, parsed.features, parsed.memory))


def measure(nnz: int = 200_000_000, features: int = 16_384, memory: str = "1GiB") -> dict[str, Any]:
    """All figures of one run; needs 24 bytes of disk per activation, in the directory for temporary files."""
    with tempfile.TemporaryDirectory() as temporary:
        require_space(Path(temporary), 24 * nnz, f"a benchmark of {nnz:,} activations")
        write_batches(Workspace(temporary).store_dir(STORE), nnz // K, features)
        rows = min(SLICE_NNZ, nnz) // K
        scipy_ns = [_time_scipy(Path(temporary), rows)]
        step = _watch_step(Path(temporary), memory)
        scipy_ns.append(_time_scipy(Path(temporary), rows))
        disk = _time_disk(Path(temporary) / "sequential", 8 * nnz)
    tocsc = statistics.mean(scipy_ns)
    return {
        "activations": nnz // K * K,
        "samples": nnz // K,
        "features": features,
        "memory_option": memory,
        "step_seconds": round(step["seconds"], 2),
        "step_ns_per_activation": round(step["seconds"] / nnz * 1e9, 1),
        "process_seconds": round(step["process_seconds"], 2),
        "peak_anonymous_mib": round(step["peak_anonymous_mib"]),
        "most_peak_anonymous_mib": 1536,
        "scipy_tocsc_activations": rows * K,
        "scipy_tocsc_ns_per_activation": round(tocsc, 1),
        "scipy_tocsc_ns_before_and_after": [round(ns, 1) for ns in scipy_ns],
        "times_scipy": round(step["seconds"] / nnz * 1e9 / tocsc, 2),
        "most_times_scipy": 5,
        **disk,
    }


def write_batches(store_dir: Path, samples: int, features: int) -> None:
    """Batches of `samples` rows with K distinct features each, of heavy-tailed popularity in an order of no meaning."""
    (store_dir / "activations").mkdir(parents=True)
    generator = np.random.default_rng(0)
    share = np.arange(1, features + 1) ** -POPULARITY
    edges = np.cumsum(share) / share.sum()
    names = generator.permutation(features).astype(np.int32)
    for number, first in enumerate(range(0, samples, BATCH_SAMPLES)):
        rows = min(BATCH_SAMPLES, samples - first)
        drawn = np.searchsorted(edges, generator.random((rows, K), dtype=np.float32)).clip(max=features - K)
        indices = np.sort(names[_distinct(np.sort(drawn, axis=1))], axis=1)  # (sample, k)
        values = generator.gamma(2.0, 1.0, rows * K).astype(np.float32) + np.float32(1e-3)
        pointers = np.arange(0, rows * K + 1, K, dtype=np.int32)
        batch = sp.csr_array((values, indices.ravel(), pointers), shape=(rows, features))
        write_batch(store_dir / "activations" / f"batch_{number:04d}.zarr", batch, {"start": first})
    (store_dir / "harvest.json").write_text(json.dumps({"samples": samples}))


def _distinct(ranks: np.ndarray) -> np.ndarray:
    """Push equal ranks of sorted rows apart: each becomes at least one more than the one before it."""
    steps = np.arange(ranks.shape[1])
    return np.maximum.accumulate(ranks - steps, axis=1) + steps


def _run_step(root: Path, memory: str) -> dict[str, float]:
    from precompute import transpose

    started = time.perf_counter()
    transpose.run(transpose.Config(STORE, memory), Workspace(root), Progress())
    return {"seconds": time.perf_counter() - started}


def _watch_step(root: Path, memory: str) -> dict[str, float]:
    """Run the step in a process of its own and read its anonymous memory every two milliseconds."""
    command = [sys.executable, "-m", "benchmarks.transpose", "--step", str(root), "--memory", memory]
    os.sync()
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        peak = max(peak, _anonymous_kib(process.pid))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    seconds = time.perf_counter() - started
    said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"The step ended with {process.returncode}.")
    return {**json.loads(said), "process_seconds": seconds, "peak_anonymous_mib": peak / 1024}


def _anonymous_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")), 0)


def _time_scipy(root: Path, rows: int) -> float:
    """Nanoseconds per activation of `tocsc` on the first `rows` samples, held in memory as int32 and float32."""
    parts = [block for _, block in SampleBlocks.open(Workspace(root).store_dir(STORE)).blocks(last=rows)]
    matrix = sp.vstack(parts, "csr")
    del parts
    started = time.perf_counter()
    matrix.tocsc()
    return (time.perf_counter() - started) / matrix.nnz * 1e9


def _time_disk(path: Path, size: int) -> dict[str, float]:
    """Megabytes per second of writing `size` bytes in order with fsync, and of reading them back from the disk."""
    block = np.random.default_rng(1).bytes(in_bytes("16MiB"))
    started = time.perf_counter()
    with open(path, "wb") as file:
        for _ in range(-(-size // len(block))):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    written = time.perf_counter()
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        began = time.perf_counter()
        while file.read(len(block)):
            pass
        read = time.perf_counter() - began
    path.unlink()
    return {
        "disk_write_mb_per_s": round(size / (written - started) / 1e6),
        "disk_read_mb_per_s": round(size / read / 1e6),
        "disk_write_seconds_of_the_result": round(written - started, 2),
    }


if __name__ == "__main__":
    main()
