"""What training reads: rows as (x - mean) * scale in a seeded order, the held-out ones kept apart."""

from typing import Protocol

import torch
from torch import Tensor

from precompute.processes import Processes

SAMPLE_ROWS = (
    8_192  # rows kept at hand: of training ones for thresholds, of held-out ones for figures while training runs
)


class Rows(Protocol):
    """Rows of one hook point; which rows a step sees depends on the seed and the step alone, so a resumed run goes on.

    `mean` [width] and `scale` normalise: E|(x - mean) * scale|^2 = width.
    """

    width: int
    mean: Tensor
    scale: float
    model_name: str
    fingerprints: dict[str, str]  # of model and dataset
    held_out_rows: int
    sample: Tensor  # normalised training rows
    checked: (
        Tensor  # held-out rows in the model's own units: a fixed subset drawn with the seed; the first process has it
    )

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Tensor:
        """Normalised rows of step 0, 1, ...: the `part`-th of `parts` equal shares, [batch / parts, width]."""
        ...


def normalise(rows: Tensor, mean: Tensor, scale: float) -> Tensor:
    """(x - mean) * scale; changes and returns `rows` [n, width]."""
    return rows.sub_(mean).mul_(scale)


class Moments:
    """Mean and scale of rows that are seen block after block."""

    def __init__(self, width: int) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(width, dtype=torch.float64), 0.0

    def add(self, rows: Tensor) -> None:
        self.count += len(rows)
        self.total += rows.sum(0, dtype=torch.float64)
        self.squares += float(rows.double().square().sum())

    def join(self, processes: Processes) -> None:
        """Count what all processes have seen."""
        own = torch.cat([torch.tensor([self.count, self.squares], dtype=torch.float64), self.total])
        joined = processes.gather(own).view(processes.size, -1).sum(0)
        self.count, self.squares, self.total = int(joined[0]), float(joined[1]), joined[2:]

    def normalisation(self) -> tuple[Tensor, float] | None:
        """Mean [width] and the scale that makes E|x|^2 = width; None for rows that are not finite or all alike."""
        mean = self.total / self.count
        variance = self.squares / self.count - float(mean @ mean)
        if not variance > 0 or variance == float("inf"):
            return None
        return mean.float(), (len(mean) / variance) ** 0.5
