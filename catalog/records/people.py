"""Records of who may do what: people, their API tokens, failed logins, and the server's own settings."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from catalog.records.base import NUMBER, Record

ROLE_CHECK = "role in ('viewer', 'labeller', 'admin')"


class PersonRecord(Record):
    """Somebody with an account. Labels name their author as text, so they outlive the account."""

    __tablename__ = "people"
    __table_args__ = (CheckConstraint(ROLE_CHECK, name="people_role"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]  # none: a trusted proxy says who it is
    session_epoch: Mapped[int]  # logins of an earlier epoch are no longer valid
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class TokenRecord(Record):
    """An API token: the sha256 of its secret, never the secret."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint(ROLE_CHECK, name="api_tokens_role"),
        UniqueConstraint("secret_sha256", name="api_tokens_secret"),
        Index("api_tokens_person", "person"),
    )

    token_id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    person: Mapped[str] = mapped_column(ForeignKey("people.name", name="api_tokens_owner"))
    title: Mapped[str]
    role: Mapped[str]
    secret_sha256: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AttemptRecord(Record):
    """One try to log in under one key (a name, an address), kept as long as it counts."""

    __tablename__ = "login_attempts"
    __table_args__ = (Index("login_attempts_key", "key", "made_at"),)

    attempt_id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    key: Mapped[str]
    made_at: Mapped[datetime]


class SettingRecord(Record):
    """A value that all workers share, such as the key that signs sessions."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    changed_at: Mapped[datetime]
