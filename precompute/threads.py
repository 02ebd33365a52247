"""How many threads torch uses: the last bits of a product may depend on it, so steps set it and record it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(wanted: int) -> Iterator[None]:
    """Let torch use `wanted` threads (0: as many as now) until the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
