"""The largest entries of each row, exactly and reproducibly: ties go to the lower column."""

import numpy as np
import numpy.typing as npt

SIGN = np.uint32(1 << 31)
LOW = np.uint64(0xFFFFFFFF)


def sortable_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Map float32 (no NaN) to uint32 of the same order: flip all bits of negative numbers, the sign of the others."""
    bits = (np.asarray(values, dtype=np.float32) + np.float32(0)).view(np.uint32)  # adding 0 makes -0 into 0
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def top_per_row(values: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    """Columns of the `k` largest entries of each row of `values` [rows, columns], largest first: int64 [rows, min(k, columns)].

    Value and column are packed into one integer, so that a plain partition of integers selects and breaks ties at once.
    """
    columns = values.shape[1]
    k = min(k, columns)
    if k <= 0:
        return np.empty((values.shape[0], 0), dtype=np.int64)
    keys = sortable_bits(values).astype(np.uint64) << np.uint64(32)
    keys |= LOW - np.arange(columns, dtype=np.uint64)  # (rows, columns)
    keys.partition(columns - k, axis=1)
    best = np.sort(keys[:, columns - k :], axis=1)[:, ::-1]
    return (LOW - (best & LOW)).astype(np.int64)
