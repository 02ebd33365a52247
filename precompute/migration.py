"""Bring stores of earlier versions up to date: their manifest is rewritten version by version and swapped in at once."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from loaders.errors import LoupeError, StoreDamaged, StoreNotFound
from loaders.manifest import NAME, is_published
from loaders.schema import SCHEMA_VERSION
from loaders.seal import sealed
from precompute.publish import write_json

Migration = Callable[[Path, dict[str, Any]], dict[str, Any]]
"""From a store's directory and its manifest of version n to the manifest of version n + 1; changes no listed file."""

MIGRATIONS: dict[int, Migration] = {}
"""By the version that it starts from. Version 1 is the first one, so there is none yet."""


class NewerStore(LoupeError):
    """The store was written by a later Loupe."""


class Outcome(NamedTuple):
    """The version that a store had and the one that it has now."""

    found: int
    now: int


def migrate(
    store_dir: Path, migrations: Mapping[int, Migration] = MIGRATIONS, version: int = SCHEMA_VERSION
) -> Outcome:
    """Bring one store to `version` and return what was done; nothing is copied, readers see the old manifest or the new.

    Raises StoreNotFound for an unpublished store, NewerStore for one of a later version, StoreDamaged for a manifest that
    says no version or one from which no migration leads on. Call it with the workspace's lock held.
    """
    if not is_published(store_dir):
        raise StoreNotFound(f"Store '{store_dir.name}' has not been published: it has no {NAME} to migrate.")
    try:
        manifest = json.loads((store_dir / NAME).read_text())
    except ValueError as error:
        raise StoreDamaged(
            f"The manifest of '{store_dir.name}' is not valid JSON ({error}). Rebuild the store."
        ) from error
    found = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise StoreDamaged(f"The manifest of '{store_dir.name}' says no version. Rebuild the store.")
    if found > version:
        raise NewerStore(
            f"Store '{store_dir.name}' has version {found}; this Loupe knows versions up to {version}. Update Loupe."
        )
    for number in range(found, version):
        if number not in migrations:
            raise StoreDamaged(f"No migration leads on from version {number} of '{store_dir.name}'. Rebuild the store.")
        manifest = {**migrations[number](store_dir, manifest), "schema_version": number + 1}
    if found < version:
        write_json(store_dir / NAME, sealed({**manifest, "generation": int(manifest.get("generation", 0)) + 1}))
    return Outcome(found, version)
