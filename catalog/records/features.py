"""Records of SAE files and of the statistics of their features, loaded from published stores by `loupe catalog sync`."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import Record


class SaeModelRecord(Record):
    """One file of one SAE, in one format."""

    __tablename__ = "sae_models"

    sae_fingerprint: Mapped[str] = mapped_column(primary_key=True)
    file_path: Mapped[str] = mapped_column(primary_key=True)  # relative to the workspace where it lies in it
    sae_id: Mapped[str]
    run_id: Mapped[str | None]
    format: Mapped[str]
    architecture: Mapped[str]
    model_id: Mapped[str | None]
    hook: Mapped[str | None]
    width: Mapped[int]
    features: Mapped[int]
    file_bytes: Mapped[int]
    checksum: Mapped[str]  # sha256 of the file
    is_neuronpedia_compatible: Mapped[bool]
    exported_at: Mapped[datetime]


class SyncedStoreRecord(Record):
    """A store whose statistics are in the catalog, as of one generation of it."""

    __tablename__ = "synced_stores"
    __table_args__ = (Index("synced_stores_sae", "sae_fingerprint"),)

    store_id: Mapped[str] = mapped_column(primary_key=True)
    store_fingerprint: Mapped[str]
    sae_fingerprint: Mapped[str]
    sae_id: Mapped[str]
    dataset_id: Mapped[str]
    samples: Mapped[int]
    features: Mapped[int]
    synced_at: Mapped[datetime]


class FeatureRecord(Record):
    """One feature of one SAE, as it fires in one store."""

    __tablename__ = "discovered_features"

    store_id: Mapped[str] = mapped_column(
        ForeignKey("synced_stores.store_id", name="discovered_features_store", ondelete="CASCADE"), primary_key=True
    )
    feature_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sae_fingerprint: Mapped[str]
    n: Mapped[int]
    density: Mapped[float]
    activation_sum: Mapped[float]
    mean_activation: Mapped[float]
    max_activation: Mapped[float]
    decoder_norm: Mapped[float | None]
