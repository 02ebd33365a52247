"""The work of a table, cut into blocks of whole features: the same blocks whatever runs them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from loaders.workspace import Workspace
from precompute.feature_blocks import FeatureBlock, FeatureBlocks
from precompute.parallel import Distributed, in_order
from precompute.progress import Step

TASK_NNZ = 1 << 20  # non-zeros of a task, or one feature
Result = TypeVar("Result")


class Place(NamedTuple):
    """Features first..last of a store, found again by any worker."""

    root: str
    store: str
    first: int
    last: int

    def read(self) -> FeatureBlock:
        """The block itself, memory-mapped."""
        features = FeatureBlocks.open(Workspace(self.root).store_dir(self.store))
        return next(features.blocks(features.nnz + 1, self.first, self.last))


def by_block(
    function: Callable[..., Result], workspace: Workspace, store: str, where: Distributed, bar: Step, *shared: Any
) -> Iterator[tuple[slice, Result]]:
    """Yield (features, `function(place, *shared)`) for every block of a store, in order; `bar` advances by features."""
    blocks = FeatureBlocks.open(workspace.store_dir(store)).blocks(TASK_NNZ)
    places = [Place(str(workspace.root), store, block.first, block.last) for block in blocks]
    found = in_order(function, [(place, *shared) for place in places], where.jobs, where.backend)
    for place, result in zip(places, found, strict=True):
        bar.advance(place.last - place.first)
        yield slice(place.first, place.last), result
