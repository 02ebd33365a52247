"""The exact k largest entries of every row, several times faster than a top-k over whole rows."""

from functools import lru_cache

import torch
from torch import Tensor


def row_topk(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return values (float32) and column indices (int64), both [n, k] and in no order, of each row's k largest entries.

    `rows` is [n, width]. The row is cut into groups; its k largest entries lie in the k groups with the largest maxima
    (an entry of any other group is matched by those k maxima), so only these groups are searched. Entries that tie with
    the k-th largest may be chosen differently from `torch.topk`; the values are the same.
    """
    n, width = rows.shape
    size = group_size(width, k)
    if size == 1:
        found = torch.topk(rows.float(), k, dim=1, sorted=False)
        return found.values, found.indices
    groups = width // size
    grouped = rows.view(n, size, groups)  # group j holds the columns j, j + groups, j + 2 * groups, ...
    chosen = torch.topk(grouped.amax(dim=1).float(), k, dim=1, sorted=False).indices  # (n, k)
    candidates = grouped.gather(2, chosen[:, None, :].expand(n, size, k)).view(n, size * k).float()
    values, places = torch.topk(candidates, k, dim=1, sorted=False)
    return values, (places // k) * groups + chosen.gather(1, places % k)


@lru_cache
def group_size(width: int, k: int) -> int:
    """The divisor of `width` that leaves the fewest entries to search (width / size + k * size); 1 for no grouping."""
    sizes = [size for size in range(2, width // k + 1) if width % size == 0]
    best = min(sizes, key=lambda size: width // size + k * size, default=1)
    return best if width // best + k * best < width else 1
