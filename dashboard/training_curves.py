"""Smooth a curve, and choose the points at which a long one is drawn without losing a spike."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

SHOWN_WHOLE = 1_000
"""So many points are drawn one by one; more become an envelope."""
BUCKETS = 300
OUTSIDE_BUCKETS = 60
"""Stretches of an envelope on the drawn part of the axis, and on each side of it."""

Window = tuple[float, float]


def smooth(value: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Exponential moving average of `value` [n], unbiased at its start; NaN and infinity are passed over.

    s_t = (w s_{t-1} + (1 - w) x_t), divided by 1 - w^(t+1) (Adam's bias correction, Kingma & Ba 2015, section 3).
    `weight` 0 returns the values themselves; it must be below 1.
    """
    finite = np.isfinite(value)
    smoothed = np.full(value.shape, np.nan)
    known = value[finite]
    if known.size:
        average = lfilter([1.0 - weight], [1.0, -weight], known)
        biased = known.size if weight > 0 else 1
        if weight > 0:
            biased = min(biased, math.ceil(math.log(1e-17) / math.log(weight)))  # beyond, the divisor is exactly 1
        average[:biased] /= 1.0 - weight ** np.arange(1, biased + 1)
        smoothed[finite] = average
    return smoothed


def envelope(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    window: Window | None = None,
    *,
    is_log_x: bool = False,
    buckets: int = BUCKETS,
) -> NDArray[np.int64]:
    """Indices (ascending) at which to draw `y` [n] over ascending `x` [n] so that no spike is lost at any zoom.

    The part of the axis within `window` (None: all of it) is drawn point by point where it holds up to SHOWN_WHOLE
    points; otherwise it is cut into `buckets` stretches of equal length on the axis as it is drawn (linear or
    logarithmic), and each keeps its smallest and its largest finite value. One point beyond either end is kept, so that
    the line leaves the frame; what lies farther out is an envelope as well, so that one may pan. Both ends are kept.
    """
    n = x.size
    low, high = (0, n) if window is None else _within(x, window)
    shown = _stretches(x, y, max(low - 1, 0), min(high + 1, n), buckets, SHOWN_WHOLE, is_log_x)
    before = _stretches(x, y, 0, low, OUTSIDE_BUCKETS, 0, is_log_x)
    after = _stretches(x, y, high, n, OUTSIDE_BUCKETS, 0, is_log_x)
    ends = np.array([0, n - 1] if n else [], np.int64)
    return np.unique(np.concatenate([before, shown, after, ends]))


def _within(x: NDArray[np.float64], window: Window) -> tuple[int, int]:
    first, last = sorted(window)
    return int(np.searchsorted(x, first, "left")), int(np.searchsorted(x, last, "right"))


def _stretches(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: int,
    high: int,
    buckets: int,
    shown_whole: int,
    is_log_x: bool,
) -> NDArray[np.int64]:
    if high - low <= max(shown_whole, 2 * buckets):
        return np.arange(low, high)
    edges = np.concatenate([[low], low + np.searchsorted(x[low:high], _marks(x[low:high], buckets, is_log_x)), [high]])
    lowest = np.where(np.isfinite(y[low:high]), y[low:high], np.inf)
    highest = np.where(np.isfinite(y[low:high]), y[low:high], -np.inf)
    kept = set()
    for start, end in zip(edges[:-1] - low, edges[1:] - low, strict=True):
        if end > start:
            kept |= {low + start + int(lowest[start:end].argmin()), low + start + int(highest[start:end].argmax())}
    return np.array(sorted(kept), np.int64)


def _marks(x: NDArray[np.float64], buckets: int, is_log_x: bool) -> NDArray[np.float64]:
    """Where on the axis one stretch ends and the next begins: [buckets - 1]."""
    positive = x[np.searchsorted(x, 0, "right") :] if is_log_x else x
    if is_log_x and positive.size:
        return np.geomspace(positive[0], x[-1], buckets + 1)[1:-1]
    return np.linspace(x[0], x[-1], buckets + 1)[1:-1]
