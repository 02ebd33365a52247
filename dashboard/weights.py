"""Which tables a store can have: of converted activations the SAE's weights are not known, and neither is what they say."""

from loaders.schema import GROUPED_TABLES, PARQUET_TABLES
from loaders.store import Store

OF_WEIGHTS = ("map", "influences")


def has_weights(store: Store) -> bool:
    """Whether the store was made with the SAE's weights at hand, as every harvest is."""
    return bool(store.manifest.get("has_weights", True))


def expected_tables(store: Store) -> list[str]:
    """The tables that the store has or will have."""
    tables = (*PARQUET_TABLES, *GROUPED_TABLES)
    return [table for table in tables if has_weights(store) or table not in OF_WEIGHTS]
