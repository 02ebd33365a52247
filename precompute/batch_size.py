"""The largest batch that a bound on memory allows."""

from loaders.errors import BadInput
from precompute.disk import in_bytes, in_megabytes
from precompute.saes import BY_K
from precompute.train_config import Config, features_of

SMALLEST, LARGEST = 64, 65_536
PROGRAM = 500 * 2**20  # interpreter, torch, the sample of rows and what a measurement takes
COPIES = 6  # of the weights: themselves, gradients new and old, two moments, what the optimiser lays aside
SPARSE, DENSE = 6, 40  # bytes for each pre-activation of a batch, its search or its graph included


def choose_batch(config: Config, width: int, processes: int, rows: int = LARGEST) -> int:
    """The batch that was asked for; for 0 the largest power of two whose step fits `config.memory` in each process.

    No batch of 0 becomes larger than `rows`, what there is to draw from.

    Raises BadInput where not even the smallest batch fits.
    """
    if config.batch:
        return config.batch
    memory, batch = in_bytes(config.memory), LARGEST * processes
    while batch >= SMALLEST * processes:
        if batch <= rows and needed(config, width, batch // processes) <= memory:
            return batch
        batch //= 2
    least = needed(config, width, SMALLEST)
    raise BadInput(
        f"--memory {in_megabytes(memory)} is too little to train {features_of(config, width):,} features on rows of {width}:"
        f" a batch of {SMALLEST} takes about {in_megabytes(least)}."
    )


def needed(config: Config, width: int, batch: int) -> int:
    """Bytes of memory that a process with `batch` rows takes at its peak, estimated from above."""
    d_sae = features_of(config, width)
    each = SPARSE if config.architecture in BY_K else DENSE
    streamed = config.buffer * width * 4 * 2 if config.model else 0
    rows = batch * (each * d_sae + 32 * width + 160 * config.k)
    return PROGRAM + COPIES * 2 * 4 * d_sae * width + rows + streamed
