"""Loading 20,480 features' statistics into the catalog, in SQLite and in PostgreSQL, as `loupe catalog sync` does it.

A store's table of statistics is written as the pipeline writes it; each database is fresh, each time the best and the median
of five loads. PostgreSQL is the tests' own server on this machine."""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.result import write_result
from catalog.catalog import Catalog
from catalog.features import features_of
from loaders.schema import SCHEMA_VERSION, STATS
from loaders.workspace import Workspace
from loupe.catalog_sync import sync
from tests.postgres import Postgres

STORE = "sae@synthetic"
MOST_SECONDS = 2.0
TIMES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=20_480)
    write_result("catalog_sync", measure(parser.parse_args().features))


def measure(features: int = 20_480) -> dict[str, Any]:
    """Seconds of a whole sync (reading the table included) by database."""
    found: dict[str, Any] = {"features": features, "most_seconds": MOST_SECONDS}
    with tempfile.TemporaryDirectory() as temporary, _postgres() as server:
        workspace = Workspace(temporary)
        for database in ("sqlite", "postgresql"):
            seconds = []
            for i in range(TIMES):
                _write_store(workspace, features, fingerprint=f"{database}-{i}")
                address = (
                    f"sqlite:///{Path(temporary) / f'{i}.sqlite'}" if database == "sqlite" else server.make_database()
                )
                catalog = Catalog(address)
                started = time.perf_counter()
                done = sync(workspace, catalog)
                seconds.append(time.perf_counter() - started)
                assert done.features == features and len(features_of(catalog, STORE)) == features
                catalog.close()
            found[database] = {"best": round(min(seconds), 3), "median": round(statistics.median(seconds), 3)}
            found[database]["is_fast_enough"] = statistics.median(seconds) <= MOST_SECONDS
    return found


@contextmanager
def _postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server
    finally:
        server.close()


def _write_store(workspace: Workspace, features: int, fingerprint: str) -> None:
    """A published store as far as a sync looks at it: its manifest and the table of statistics."""
    random = np.random.default_rng(0)
    directory = workspace.store_dir(STORE)
    (directory / "tables").mkdir(parents=True, exist_ok=True)
    columns = {
        field.name: pa.array(
            np.arange(features) if field.name == "feature_id" else random.integers(1, 10**6, features)
            if pa.types.is_integer(field.type) else random.random(features)
        ).cast(field.type)
        for field in STATS
    }  # fmt: skip
    pq.write_table(pa.table(columns, schema=STATS), directory / "tables" / "stats.parquet")
    manifest = {
        "kind": "store", "schema_version": SCHEMA_VERSION, "id": STORE, "generation": 1, "samples": 10**6, "features": features,
        "sae": "sae", "dataset": "synthetic", "hook": "layer", "tables": {"stats": features}, "files": {},
        "fingerprints": {"sae": "f00d", "dataset": "d", "store": fingerprint},
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    main()
