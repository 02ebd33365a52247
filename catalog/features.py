"""Statistics of features by store, loaded in bulk from what was published, and how far the labelling of a store is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.label_writes import in_parts, newest_versions
from catalog.records import FeatureRecord, LabelRecord, SyncedStoreRecord
from loaders.errors import BadInput

COLUMNS = ("feature_id", "n", "density", "activation_sum", "mean_activation", "max_activation", "decoder_norm")


class SyncedStore(NamedTuple):
    """A store whose statistics the catalog has; `store_fingerprint` tells whether they are those of what is published."""

    store_id: str
    store_fingerprint: str
    sae_fingerprint: str
    sae_id: str
    dataset_id: str
    samples: int
    features: int
    synced_at: datetime


class Feature(NamedTuple):
    """One feature as it fires in one store; `n` samples on which it does, the mean over those."""

    store_id: str
    feature_id: int
    sae_fingerprint: str
    n: int
    density: float
    activation_sum: float
    mean_activation: float
    max_activation: float
    decoder_norm: float | None


class LabelProgress(NamedTuple):
    """How far a store's labelling is: features that fire, of which labelled; sum of activations, of which of labelled ones."""

    alive: int
    labelled: int
    mass: float
    labelled_mass: float

    @property
    def share_of_features(self) -> float:
        return self.labelled / self.alive if self.alive else 0.0

    @property
    def share_of_mass(self) -> float:
        return self.labelled_mass / self.mass if self.mass else 0.0


def put_store(
    catalog: Catalog,
    *,
    store_id: str,
    store_fingerprint: str,
    sae_fingerprint: str,
    sae_id: str,
    dataset_id: str,
    samples: int,
    columns: Mapping[str, Sequence[Any]],
) -> SyncedStore:
    """Replace a store's statistics by these, in one transaction. `columns`: COLUMNS, each [features], plain values.

    Raises BadInput for missing columns or columns of different lengths.
    """
    missing = [name for name in COLUMNS if name not in columns]
    lengths = {len(columns[name]) for name in COLUMNS if name in columns}
    if missing or len(lengths) != 1:
        raise BadInput(
            f"Statistics of features are {', '.join(COLUMNS)}, of one length: missing {missing}, lengths {lengths}."
        )
    store = SyncedStore(
        store_id, store_fingerprint, sae_fingerprint, sae_id, dataset_id, samples, lengths.pop(), datetime.now(UTC)
    )
    with catalog.write() as session:
        session.execute(delete(SyncedStoreRecord).where(SyncedStoreRecord.store_id == store_id))
        session.execute(insert(SyncedStoreRecord).values(**store._asdict()))
        _insert(session, store, columns)
    return store


def forget_store(catalog: Catalog, store_id: str) -> None:
    """Remove the statistics of a store that is no longer published. Labels belong to the SAE and stay."""
    with catalog.write() as session:
        session.execute(delete(SyncedStoreRecord).where(SyncedStoreRecord.store_id == store_id))


def synced_stores(catalog: Catalog) -> list[SyncedStore]:
    """The stores whose statistics are there, by id."""
    with catalog.read() as session:
        found = session.scalars(select(SyncedStoreRecord).order_by(SyncedStoreRecord.store_id))
        return [SyncedStore(*(getattr(record, field) for field in SyncedStore._fields)) for record in found]


def features_of(catalog: Catalog, store_id: str, feature_ids: Sequence[int] | None = None) -> list[Feature]:
    """Statistics of a store's features by id: of all, or of some."""
    columns = [getattr(FeatureRecord, field) for field in Feature._fields]
    query = select(*columns).where(FeatureRecord.store_id == store_id).order_by(FeatureRecord.feature_id)
    parts = [None] if feature_ids is None else list(in_parts(sorted(feature_ids)))
    with catalog.read() as session:
        return [
            Feature(*row)
            for part in parts
            for row in session.execute(query if part is None else query.where(FeatureRecord.feature_id.in_(part)))
        ]


def label_progress(catalog: Catalog, store_id: str) -> LabelProgress | None:
    """How far the labelling of a store is; None where its statistics are not synced. Dead features do not count."""
    with catalog.read() as session:
        store = session.get(SyncedStoreRecord, store_id)
        if store is None:
            return None
        figures = select(func.count(), func.coalesce(func.sum(FeatureRecord.activation_sum), 0.0))
        alive = figures.where(FeatureRecord.store_id == store_id, FeatureRecord.n > 0)
        newest = newest_versions(store.sae_fingerprint).where(LabelRecord.name != "").subquery()
        labelled = alive.join(newest, newest.c.feature_id == FeatureRecord.feature_id)
        return LabelProgress(*_pair(session, alive, labelled))


def _pair(session: Session, alive: Any, labelled: Any) -> tuple[int, int, float, float]:
    (features, mass), (named, named_mass) = session.execute(alive).one(), session.execute(labelled).one()
    return features, named, mass, named_mass


def _insert(session: Session, store: SyncedStore, columns: Mapping[str, Sequence[Any]]) -> None:
    """All rows at once: rows one by one, or as objects, take seconds."""
    names = ", ".join([*COLUMNS, "store_id", "sae_fingerprint"])
    same = repeat(store.store_id), repeat(store.sae_fingerprint)
    rows = zip(*(columns[name] for name in COLUMNS), *same, strict=False)
    connection, table = session.connection(), FeatureRecord.__tablename__
    if connection.dialect.name == "postgresql":
        _copy(connection, f"copy {table} ({names}) from stdin", rows)
    elif store.features:
        marks = ", ".join("?" * (len(COLUMNS) + len(same)))
        connection.exec_driver_sql(f"insert into {table} ({names}) values ({marks})", list(rows))


def _copy(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """PostgreSQL's own way for many rows, half the time of arrays; what the driver says becomes SQLAlchemy's error."""
    driver: Any = connection.dialect.loaded_dbapi
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except driver.Error as error:
        raise DBAPIError.instance(statement, None, error, driver.Error, dialect=connection.dialect) from error
