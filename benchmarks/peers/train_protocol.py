"""What every trainer under measurement does alike: it trains by its own loop, and answers the driver between two batches.

A trainer's loop asks `Feeder.next_batch` for rows. There it waits until the driver says on stdin what to do, one line each:

    step N            take N steps; the answer holds their seconds, each from a batch handed out to the next asked for
    rebuild FILE N    write the reconstructions of the first N held-out rows (0: of all), float32 .npy
    decoder FILE      write the decoder's directions [d_sae, d_in], float32 .npy
    quit

Answers are lines of JSON on a pipe of their own, as trainers print what they like. This file is read by every trainer's own
Python, so it needs no more than NumPy and torch.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

REBUILT_ROWS = 1_024  # held-out rows encoded at once


@dataclass(frozen=True)
class Spec:
    """What to train on what: the first argument of every trainer's process, as JSON; the second is the pipe to answer on."""

    data: str
    """Folder with train.npy and held_out.npy, normalised float32 rows."""
    d_in: int
    d_sae: int
    k: int
    batch: int
    steps: int
    """Length of the run that the schedule is made for."""
    lr: float
    schedule: str
    """`decay`: warm-up over 5 % of the steps, then linearly to zero; `constant`: the package's own default."""
    optimiser: str = ""
    seed: int = 0
    threads: int = 2

    @property
    def warmup(self) -> int:
        return max(round(0.05 * self.steps), 1)


class Feeder:
    """Batches of the training rows in an order that seed and step alone decide, and the driver's commands between them."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.done = 0
        self.rebuild: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.decoder: Callable[[], torch.Tensor] | None = None
        rows = np.load(Path(spec.data) / "train.npy", mmap_mode="r")
        self._count, self._offset = len(rows), rows.offset
        self._file = os.open(Path(spec.data) / "train.npy", os.O_RDONLY)
        self._held_out = np.load(Path(spec.data) / "held_out.npy", mmap_mode="r")
        self._answers = os.fdopen(int(sys.argv[2]), "w", buffering=1)
        self._left, self._seconds, self._started = 0, 0.0, 0.0

    def order(self, epoch: int) -> np.ndarray:
        """The training rows in an epoch's order."""
        return np.random.default_rng([self.spec.seed, epoch]).permutation(self._count)

    def next_batch(self) -> torch.Tensor:
        """The next rows [batch, d_in], a tensor of its own; gathering them is on nobody's clock."""
        self._stop_clock()
        if not self._left:
            self._answer()
        size = self.spec.batch
        epoch, place = divmod(self.done, self._count // size)
        batch = np.empty((size, self.spec.d_in), dtype=np.float32)
        for row, out in zip(np.sort(self.order(epoch)[place * size : (place + 1) * size]).tolist(), batch, strict=True):
            os.preadv(
                self._file, [out], self._offset + row * out.nbytes
            )  # a map of the file would count as the trainer's
        self._started = time.perf_counter()
        return torch.from_numpy(batch)

    def finish(self) -> None:
        """The trainer's loop is over: answer what is still asked."""
        self._stop_clock()
        self._answer()

    def _stop_clock(self) -> None:
        if self._left:
            self._seconds += time.perf_counter() - self._started
            self._left -= 1
            self.done += 1
            if not self._left:
                self._say(seconds=self._seconds, done=self.done)
        elif not self.done:
            self._say(ready=True, order=hashlib.sha256(self.order(0).astype("<i8").tobytes()).hexdigest())

    def _answer(self) -> None:
        """Follow commands until one asks for steps."""
        for line in sys.stdin:
            words = line.split()
            if words[0] == "step":
                self._left, self._seconds = int(words[1]), 0.0
                return
            if words[0] == "rebuild":
                self._write_rebuilt(Path(words[1]), int(words[2]) or len(self._held_out))
            elif words[0] == "decoder":
                np.save(words[1], self.decoder().detach().float().numpy())
            else:
                break
            self._say(written=words[1])
        sys.exit(0)

    def _write_rebuilt(self, path: Path, rows: int) -> None:
        with torch.no_grad():
            blocks = torch.from_numpy(np.array(self._held_out[:rows])).split(REBUILT_ROWS)
            np.save(path, torch.cat([self.rebuild(block) for block in blocks]).float().numpy())

    def _say(self, **answer: object) -> None:
        print(json.dumps(answer), file=self._answers)


def start() -> Feeder:
    """Read the spec, set threads and seed, and return what hands out batches."""
    spec = Spec(**json.loads(sys.argv[1]))
    torch.set_num_threads(spec.threads)
    torch.manual_seed(spec.seed)
    return Feeder(spec)
