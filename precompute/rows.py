"""What training reads: rows as (x - mean) * scale in a seeded order, the held-out ones kept apart."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

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
    checked: Tensor  # held-out rows in the model's own units: a fixed subset drawn with the seed

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Tensor:
        """Normalised rows of step 0, 1, ...: the `part`-th of `parts` equal shares, [batch / parts, width]."""
        ...

    def held_out(self) -> Iterator[Tensor]:
        """All held-out rows in the model's own units, a block at a time."""
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

    def normalisation(self) -> tuple[Tensor, float] | None:
        """Mean [width] and the scale that makes E|x|^2 = width; None for rows that are not finite or all alike."""
        mean = self.total / self.count
        variance = self.squares / self.count - float(mean @ mean)
        if not variance > 0 or variance == float("inf"):
            return None
        return mean.float(), (len(mean) / variance) ** 0.5
