"""What a training run must reach to pass its checks; the fields are also the options of `loupe check-run`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """What a run must reach."""

    max_fvu: float = 0.5
    """Most held-out variance left unexplained."""
    max_dead_share: float = 0.1
    """Most features that never fire."""
    max_frequent_share: float = 0.1
    """Most features that fire on more than 1 % of the samples."""
    max_dense_share: float = 0.05
    """Most features that fire on more than 10 % of the samples."""
    max_rare_share: float = 0.1
    """Most features that fire on fewer than one sample in 100,000."""
    min_firings: float = 100.0
    """Fewest firings per feature in training: rows times L0 over features."""
    min_loss_recovered: float = 0.8
    """Least loss recovered about zero ablation, where it was measured."""
