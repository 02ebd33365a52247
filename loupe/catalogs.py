"""The catalog of a workspace for commands: opened for reading without being made, or made for writing; and whose labels."""

from collections.abc import Iterator
from contextlib import contextmanager

from catalog.catalog import Catalog
from catalog.dictionary.entry import Source
from loaders.errors import BadInput
from loaders.sae import SaeRecord
from loaders.workspace import Workspace
from precompute.neuronpedia.directions import fingerprint_of


@contextmanager
def open_catalog(workspace: Workspace, writes: bool = False) -> Iterator[Catalog | None]:
    """The workspace's catalog, closed at the end; None where there is none yet and nothing is to be written."""
    url, file = workspace.catalog_url, workspace.root / "catalog.sqlite"
    if url == f"sqlite:///{file}" and not file.exists() and not writes:
        yield None
        return
    catalog = Catalog(url)
    try:
        yield catalog
    finally:
        catalog.close()


def sae_of(workspace: Workspace, name: str) -> tuple[SaeRecord, Source]:
    """The SAE of that id, or that a store of that id was made with. Raises BadInput and StoreNotFound."""
    record = workspace.sae(workspace.open_store(name).sae_id if "@" in name else name)
    features = record.cfg.get("d_sae")
    if not isinstance(features, int):
        raise BadInput(f"SAE '{record.id}' does not say how many features it has. Import it again.")
    return record, Source(record.id, fingerprint_of(record), features)
