"""Values that all workers and servers of one catalog share, such as the key that signs sessions."""

from collections.abc import Callable
from datetime import UTC, datetime

from catalog.catalog import Catalog, get_or_add
from catalog.records import SettingRecord


def get_setting(catalog: Catalog, key: str) -> str | None:
    """The value under a key, or None."""
    with catalog.read() as session:
        record = session.get(SettingRecord, key)
        return None if record is None else record.value


def put_setting(catalog: Catalog, key: str, value: str) -> None:
    """Keep a value under a key, in place of an earlier one."""
    now = datetime.now(UTC)
    with catalog.write() as session:
        record = get_or_add(session, SettingRecord(key=key, value=value, changed_at=now), key)
        record.value, record.changed_at = value, now


def setting_once(catalog: Catalog, key: str, make: Callable[[], str]) -> str:
    """The value under a key; where there is none, what `make` returns: the same for everybody, whoever was first."""
    if (found := get_setting(catalog, key)) is not None:
        return found
    with catalog.write() as session:
        record = get_or_add(session, SettingRecord(key=key, value=make(), changed_at=datetime.now(UTC)), key)
        return record.value
