"""Backends by name: those that come with Loupe, best first, and those that other packages add as entry points."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from loaders.batch_scan import BatchScanLoader
from loaders.csc import CscLoader
from loaders.errors import BadInput, StoreDamaged
from loaders.neuron_acts import NeuronActsLoader
from loaders.object_csc import ObjectCscLoader
from loaders.protocol import ActivationLoader
from loaders.remote import RemoteLoader
from loaders.transposed import TransposedLoader

GROUP = "loupe.loaders"
Factory = Callable[[Path], ActivationLoader]
"""Makes a loader of a store's directory; must not fail where the files that it reads are not there."""

BUILT_IN: dict[str, Factory] = {
    "objects": ObjectCscLoader,
    "csc": CscLoader,
    "transposed": TransposedLoader,
    "neuron_acts": NeuronActsLoader,
    "remote": RemoteLoader,
    "batch_scan": BatchScanLoader,
}


def names() -> list[str]:
    """All backends that can be asked for: ours, then plug-ins by name."""
    return [*BUILT_IN, *sorted(_plug_ins().keys() - BUILT_IN.keys())]


def open_loader(directory: Path, name: str | None = None) -> ActivationLoader:
    """The named backend over a store's directory, or the first one that finds its files there.

    Raises BadInput for an unknown name or a plug-in that cannot be loaded, StoreDamaged where nothing can be served.
    """
    known = names()
    if name and name not in known:
        raise BadInput(f"There is no loader '{name}'. Choose one of {', '.join(known)}.")
    for candidate in [name] if name else known:
        made = _factory(candidate)(directory)
        if made.is_available:
            return made
    wanted = f"the loader '{name}'" if name else f"any of the loaders {', '.join(known)}"
    raise StoreDamaged(f"Store '{directory.name}' has no activations for {wanted}. Run `loupe transpose`.")


@cache
def _plug_ins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _factory(name: str) -> Factory:
    if name in BUILT_IN:
        return BUILT_IN[name]
    point = _plug_ins()[name]
    try:
        return point.load()
    except Exception as error:  # another package's code: whatever it raises, the sentence names it
        raise BadInput(
            f"The loader '{name}' ({point.value}) cannot be loaded: {error}. Repair or uninstall the package that adds it."
        ) from error
