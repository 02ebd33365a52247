"""A dictionary file against the labels of a store's SAE: what it would change, and who saves that; nothing is saved here."""

from typing import NamedTuple

from catalog.dictionary.differences import Differences, compare
from catalog.dictionary.entry import Dictionary
from catalog.dictionary.importing import Importer, newest_of
from catalog.dictionary.reading import read_dictionary
from dashboard.access.visitor import visitor
from dashboard.context import author, catalog
from loaders.store import Store

MOST_BYTES = 16 * 2**20
"""Of one file; `loupe labels import` reads larger ones."""


class Import(NamedTuple):
    """A file as it was read, what it would change, and who imports it."""

    file: Dictionary
    differences: Differences
    importer: Importer


def read_import(store: Store, data: bytes, name: str, kind: str | None = None) -> Import:
    """Compare a file with the newest labels. Raises FileRefused, with every problem that it has, and BadInput.

    Whoever is logged in signs all of it; without accounts the file's own authors stay.
    """
    found = read_dictionary(data, name, store.features, fingerprint=store.sae_fingerprint, kind=kind)
    person = author()
    importer = Importer(
        store.sae_id,
        store.sae_fingerprint,
        f"{name} ({found.format})",
        person if visitor().is_person else None,
        person,
    )
    return Import(found, compare(found, newest_of(catalog(), store.sae_fingerprint)), importer)
