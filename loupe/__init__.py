"""The face of Loupe for notebooks: `loupe.open_store("workspace", "minilm-l1@docs")`."""

from loaders.store import Store
from loaders.workspace import Workspace

__all__ = ["Store", "Workspace", "open_store"]


def open_store(workspace: str, store_id: str) -> Store:
    """Open one published store of a workspace."""
    return Workspace(workspace).open_store(store_id)
