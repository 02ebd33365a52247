"""A trainer in a process of its own, driven over its stdin: one step at a time, its memory seen from outside."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PEERS = Path(__file__).parent / "peers"
SAMPLED_EVERY = 0.001  # seconds between two looks at a process's memory
ROOMY_HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36), "MALLOC_TOP_PAD_": str(2**26)}
"""glibc keeps large blocks in its heap rather than handing each back to the system."""


class Trainer(NamedTuple):
    """One of the trainers compared: its script, the Python that runs it, and what it is told beyond the task."""

    script: str
    python: str
    optimiser: str = ""
    environment: dict[str, str] = {}


def own(script: str) -> Trainer:
    """A trainer of this repository, run by the Python that runs the benchmark."""
    return Trainer(script, sys.executable, environment={"PYTHONPATH": str(PEERS.parent.parent)})


class Task(NamedTuple):
    """Sizes of a training run and the folder with its rows."""

    data: Path
    d_in: int
    d_sae: int
    k: int
    batch: int
    steps: int


class Process:
    """A running trainer; `with running(...)` starts and ends it."""

    def __init__(self, trainer: Trainer, task: Task, directory: Path, **settings: Any) -> None:
        spec = {**task._asdict(), "data": str(task.data), "optimiser": trainer.optimiser, **settings}
        self.directory, self._log = directory, (directory / "log.txt").open("w+")
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            [trainer.python, str(PEERS / trainer.script), json.dumps(spec), str(writing)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            text=True,
            cwd=directory,
            env=environment(trainer, int(settings.get("threads", 2))),
            pass_fds=(writing,),
        )
        os.close(writing)
        self._answers = os.fdopen(reading)
        self.peak = Peak(self._process.pid)
        self.order: str = self._read()["order"]

    def step(self, count: int = 1) -> float:
        """Take steps; returns their seconds."""
        return float(self._ask(f"step {count}")["seconds"])

    def rebuilt(self, rows: int = 0) -> np.ndarray:
        """Reconstructions of the first held-out rows, or of all: float32 [rows, d_in]."""
        return self._written("rebuild", rows)

    def decoder(self) -> np.ndarray:
        """Directions of the decoder, float32 [d_sae, d_in]."""
        return self._written("decoder")

    def resident(self) -> int:
        """The most memory that the process ever had resident, libraries' pages included, in bytes."""
        with open(f"/proc/{self._process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) * 1024

    def end(self) -> None:
        self._process.stdin.close()
        if self._process.wait(60):
            raise RuntimeError(f"A trainer ended with {self._process.returncode}: {self._said()}")

    def kill(self) -> None:
        self.peak.stop()
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._log.close()

    def _written(self, *words: object) -> np.ndarray:
        path = self.directory / "answer.npy"
        self._ask(" ".join(str(word) for word in (words[0], path, *words[1:])))
        return np.load(path)

    def _ask(self, command: str) -> dict[str, Any]:
        print(command, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"A trainer stopped: {self._said()}")
        return dict(json.loads(line))

    def _said(self) -> str:
        self._log.seek(0)
        return self._log.read()[-2_000:]


class Peak:
    """The most anonymous memory (resident and of no file: interpreter and imports included) that a process was seen with."""

    def __init__(self, pid: int) -> None:
        self.bytes, self._pid, self._stopped = 0, pid, threading.Event()
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def watch(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                with open(f"/proc/{self._pid}/statm") as file:
                    resident, of_files = (int(word) for word in file.read().split()[1:3])
            except (OSError, ValueError):
                return
            self.bytes = max(self.bytes, (resident - of_files) * self._page)
            time.sleep(SAMPLED_EVERY)


@contextmanager
def running(trainer: Trainer, task: Task, **settings: Any) -> Iterator[Process]:
    """Start a trainer in a folder of its own, up to where it asks for its first batch; end it whatever happens."""
    with tempfile.TemporaryDirectory() as directory:
        process = Process(trainer, task, Path(directory), **settings)
        try:
            yield process
            process.end()
        finally:
            process.kill()


def environment(trainer: Trainer, threads: int) -> dict[str, str]:
    """The process's environment: the same number of threads for all, no network, and what the trainer asks for."""
    fixed = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**inherited, **fixed, **trainer.environment}
