"""The catalog for those who may only look: reads go through, a write is refused before it begins."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from dashboard.access.visitor import require


class SealedCatalog:
    """A catalog whose `write` raises Refused: the last door, should a writing callback forget its `requires`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Raise Refused for whoever may not label; otherwise the catalog's own write session."""
        require("labeller")
        with self._catalog.write() as session:
            yield session
