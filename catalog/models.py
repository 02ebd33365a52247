"""Files of SAEs that the catalog knows: where each lies, its size and sha256, its format, and when it was written."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select

from catalog.catalog import Catalog, get_or_add
from catalog.records import SaeModelRecord


class SaeModel(NamedTuple):
    """One file of one SAE; `file_path` is relative to the workspace where the file lies in it."""

    sae_fingerprint: str
    file_path: str
    sae_id: str
    run_id: str | None
    format: str
    architecture: str
    model_id: str | None
    hook: str | None
    width: int
    features: int
    file_bytes: int
    checksum: str
    is_neuronpedia_compatible: bool
    exported_at: datetime


def put_model(catalog: Catalog, model: SaeModel) -> None:
    """Keep what is known of an SAE's file, in place of what was known."""
    with catalog.write() as session:
        key = (model.sae_fingerprint, model.file_path)
        record = get_or_add(session, SaeModelRecord(**model._asdict()), key)
        for field, value in model._asdict().items():
            setattr(record, field, value)


def forget_model(catalog: Catalog, sae_fingerprint: str, file_path: str) -> None:
    """Forget a file that is gone."""
    with catalog.write() as session:
        session.execute(
            delete(SaeModelRecord).where(
                SaeModelRecord.sae_fingerprint == sae_fingerprint, SaeModelRecord.file_path == file_path
            )
        )


def sae_models(catalog: Catalog) -> list[SaeModel]:
    """All files of SAEs, by SAE and path."""
    query = select(SaeModelRecord).order_by(SaeModelRecord.sae_id, SaeModelRecord.file_path)
    with catalog.read() as session:
        return [SaeModel(*(getattr(record, field) for field in SaeModel._fields)) for record in session.scalars(query)]
