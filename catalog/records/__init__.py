"""The catalog's tables as typed SQLAlchemy records, the same on SQLite and PostgreSQL."""

from catalog.records.base import SCHEMA_VERSION, Record, SchemaVersionRecord
from catalog.records.features import FeatureRecord, SaeModelRecord, SyncedStoreRecord
from catalog.records.labels import CommentRecord, LabelRecord, VoteRecord
from catalog.records.lists import BookmarkRecord, ListItemRecord, ListRecord
from catalog.records.people import AttemptRecord, PersonRecord, SettingRecord, TokenRecord
from catalog.records.queue import BlindLabelRecord, ClaimRecord, VerdictRecord
from catalog.records.training import EpochMetricRecord, JobRecord, RunRecord

__all__ = [
    "SCHEMA_VERSION",
    "AttemptRecord",
    "BlindLabelRecord",
    "BookmarkRecord",
    "ClaimRecord",
    "CommentRecord",
    "EpochMetricRecord",
    "FeatureRecord",
    "JobRecord",
    "LabelRecord",
    "ListItemRecord",
    "ListRecord",
    "PersonRecord",
    "Record",
    "RunRecord",
    "SaeModelRecord",
    "SchemaVersionRecord",
    "SettingRecord",
    "SyncedStoreRecord",
    "TokenRecord",
    "VerdictRecord",
    "VoteRecord",
]
