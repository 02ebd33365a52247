"""Firing rates with their confidence intervals."""

import numpy as np
import pandas as pd

Z95 = 1.959963984540054


def wilson_interval(n: np.ndarray, samples: np.ndarray, z: float = Z95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of n successes in `samples` trials (Wilson 1927); (0, 1) where there are no trials."""
    trials = np.maximum(np.asarray(samples, dtype=np.float64), 1e-300)
    share = np.asarray(n, dtype=np.float64) / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    empty = np.asarray(samples) == 0
    return np.where(empty, 0.0, np.clip(centre - half, 0, 1)), np.where(empty, 1.0, np.clip(centre + half, 0, 1))


def with_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Add rate, rate_low, rate_high and mean_all (mean over all samples, zeros included) to counts per category."""
    low, high = wilson_interval(frame["n"].to_numpy(), frame["samples"].to_numpy())
    samples = np.maximum(frame["samples"], 1)
    return frame.assign(rate=frame["n"] / samples, rate_low=low, rate_high=high, mean_all=frame["sum"] / samples)
