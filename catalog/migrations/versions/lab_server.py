"""Version 2: labels say more; votes, comments, lists, the review queue, people, feature statistics and logged metrics."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = "role in ('viewer', 'labeller', 'admin')"
LABEL = ["sae_fingerprint", "feature_id", "version"]
LABEL_KEY = [f"labels.{column}" for column in LABEL]
LABEL_COLUMNS: dict[str, tuple[type, str | None]] = {  # type and default; with a default they are never null
    "category": (sa.Text, ""),
    "confidence": (sa.Double, None),
    "evidence_store": (sa.Text, None),
    "evidence_context": (sa.BigInteger, None),
    "evidence_position": (sa.BigInteger, None),
    "origin": (sa.Text, "typed"),
    "origin_sae": (sa.Text, None),
    "origin_feature": (sa.BigInteger, None),
    "origin_score": (sa.Double, None),
    "origin_detail": (sa.Text, None),
    "edit_key": (sa.Text, None),
}
LABEL_CHECKS = {
    "labels_confidence": "confidence between 0 and 1",
    "labels_origin": "origin in ('typed', 'imported', 'inherited', 'automatic')",
}
RUN_TEXTS = ("model_id", "hook", "dataset_id", "architecture", "device")
RUN_NUMBERS = ("batch", "features")
RUN_FIGURES = ("learning_rate", "sparsity", "final_loss", "final_fvu", "final_l0", "dead_share", "duration_seconds")
RUN_COLUMNS = {
    **dict.fromkeys(RUN_TEXTS, sa.Text),
    **dict.fromkeys(RUN_NUMBERS, sa.BigInteger),
    **dict.fromkeys(RUN_FIGURES, sa.Double),
}
TABLES = (  # in the order in which they go
    "label_votes",
    "label_comments",
    "feature_list_items",
    "feature_lists",
    "bookmarks",
    "claims",
    "blind_labels",
    "verdicts",
    "api_tokens",
    "people",
    "login_attempts",
    "settings",
    "sae_models",
    "discovered_features",
    "synced_stores",
    "epoch_metrics",
)


def upgrade() -> None:
    with op.batch_alter_table("labels", copy_from=_labels(False)) as labels:
        for column in _label_columns():
            labels.add_column(column)
        for name, condition in LABEL_CHECKS.items():
            labels.create_check_constraint(name, condition)
        labels.create_unique_constraint("labels_edit_key", ["edit_key"])
        labels.create_index("labels_created_at", ["created_at"])
    for name, kind in RUN_COLUMNS.items():
        op.add_column("training_runs", sa.Column(name, kind))
    _copy_settings_of_runs()
    _create_remarks()
    _create_lists()
    _create_queue()
    _create_people()
    _create_features()
    op.execute("update schema_version set version = 2")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for name in RUN_COLUMNS:
        op.drop_column("training_runs", name)
    op.drop_index("labels_created_at", "labels")
    with op.batch_alter_table("labels", copy_from=_labels(True)) as labels:
        labels.drop_constraint("labels_edit_key", type_="unique")
        for name in LABEL_CHECKS:
            labels.drop_constraint(name, type_="check")
        for name in LABEL_COLUMNS:
            labels.drop_column(name)
    op.execute("update schema_version set version = 1")


def _label_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column(name, kind, nullable=default is None, server_default=default)
        for name, (kind, default) in LABEL_COLUMNS.items()
    ]


def _labels(is_version_2: bool) -> sa.Table:
    """The table of labels as it is before a change: SQLite changes a table by copying it."""
    more: list[Any] = []
    if is_version_2:
        more += _label_columns()
        more += [sa.CheckConstraint(condition, name=name) for name, condition in LABEL_CHECKS.items()]
        more += [sa.UniqueConstraint("edit_key", name="labels_edit_key")]
    return sa.Table(
        "labels",
        sa.MetaData(),
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("replaces", sa.BigInteger),
        sa.ForeignKeyConstraint(["sae_fingerprint", "feature_id", "replaces"], LABEL_KEY, name="labels_replaces"),
        sa.CheckConstraint("version = coalesce(replaces, 0) + 1", name="labels_version"),
        *more,
    )


def _copy_settings_of_runs() -> None:
    connection = op.get_bind()
    for run_id, config in connection.execute(sa.text("select run_id, config from training_runs")).all():
        settings = json.loads(config) if isinstance(config, str) else config
        texts = {name: settings.get(name) for name in RUN_TEXTS if isinstance(settings.get(name), str)}
        if texts:
            values = ", ".join(f"{name} = :{name}" for name in texts)
            connection.execute(
                sa.text(f"update training_runs set {values} where run_id = :run_id"), {**texts, "run_id": run_id}
            )


def _create_remarks() -> None:
    op.create_table(
        "label_votes",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.Column("voted_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(LABEL, LABEL_KEY, name="label_votes_label"),
        sa.CheckConstraint("value in (-1, 1)", name="label_votes_value"),
    )
    op.create_table(
        "label_comments",
        sa.Column("comment_id", NUMBER, primary_key=True),
        sa.Column("sae_fingerprint", sa.Text, nullable=False),
        sa.Column("feature_id", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("edit_key", sa.Text),
        sa.ForeignKeyConstraint(LABEL, LABEL_KEY, name="label_comments_label"),
        sa.UniqueConstraint("edit_key", name="label_comments_edit_key"),
    )
    op.create_index("label_comments_label_version", "label_comments", LABEL)


def _create_lists() -> None:
    op.create_table(
        "feature_lists",
        sa.Column("list_id", NUMBER, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.UniqueConstraint("name", name="feature_lists_name"),
    )
    op.create_table(
        "feature_list_items",
        sa.Column(
            "list_id",
            NUMBER,
            sa.ForeignKey("feature_lists.list_id", name="feature_list_items_list", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
    )
    op.create_table(
        "bookmarks",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )


def _create_queue() -> None:
    op.create_table(
        "claims",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("is_blind", sa.Boolean, nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.UniqueConstraint("sae_fingerprint", "feature_id", "person", name="claims_person"),
        sa.CheckConstraint("slot in (0, 1)", name="claims_slot"),
    )
    op.create_index("claims_by_person", "claims", ["person"])
    op.create_table(
        "blind_labels",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("confidence", sa.Double),
        sa.Column("submitted_at", MOMENT, nullable=False),
        sa.UniqueConstraint("sae_fingerprint", "feature_id", "person", name="blind_labels_person"),
        sa.CheckConstraint("slot in (0, 1)", name="blind_labels_slot"),
        sa.CheckConstraint("confidence between 0 and 1", name="blind_labels_confidence"),
    )
    op.create_table(
        "verdicts",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("label_version", sa.BigInteger, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.CheckConstraint("outcome in ('agreed', 'adjudicated')", name="verdicts_outcome"),
    )


def _create_people() -> None:
    op.create_table(
        "people",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("session_epoch", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT),
        sa.CheckConstraint(ROLES, name="people_role"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token_id", NUMBER, primary_key=True),
        sa.Column("person", sa.Text, sa.ForeignKey("people.name", name="api_tokens_owner"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.UniqueConstraint("secret_sha256", name="api_tokens_secret"),
        sa.CheckConstraint(ROLES, name="api_tokens_role"),
    )
    op.create_index("api_tokens_person", "api_tokens", ["person"])
    op.create_table(
        "login_attempts",
        sa.Column("attempt_id", NUMBER, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
    )
    op.create_index("login_attempts_key", "login_attempts", ["key", "made_at"])
    op.create_table(
        "settings",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )


def _create_features() -> None:
    op.create_table(
        "sae_models",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("file_path", sa.Text, primary_key=True),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("model_id", sa.Text),
        sa.Column("hook", sa.Text),
        sa.Column("width", sa.BigInteger, nullable=False),
        sa.Column("features", sa.BigInteger, nullable=False),
        sa.Column("file_bytes", sa.BigInteger, nullable=False),
        sa.Column("checksum", sa.Text, nullable=False),
        sa.Column("is_neuronpedia_compatible", sa.Boolean, nullable=False),
        sa.Column("exported_at", MOMENT, nullable=False),
    )
    op.create_table(
        "synced_stores",
        sa.Column("store_id", sa.Text, primary_key=True),
        sa.Column("store_fingerprint", sa.Text, nullable=False),
        sa.Column("sae_fingerprint", sa.Text, nullable=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("features", sa.BigInteger, nullable=False),
        sa.Column("synced_at", MOMENT, nullable=False),
    )
    op.create_index("synced_stores_sae", "synced_stores", ["sae_fingerprint"])
    op.create_table(
        "discovered_features",
        sa.Column(
            "store_id",
            sa.Text,
            sa.ForeignKey("synced_stores.store_id", name="discovered_features_store", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sae_fingerprint", sa.Text, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("density", sa.Double, nullable=False),
        sa.Column("activation_sum", sa.Double, nullable=False),
        sa.Column("mean_activation", sa.Double, nullable=False),
        sa.Column("max_activation", sa.Double, nullable=False),
        sa.Column("decoder_norm", sa.Double),
    )
    op.create_table(
        "epoch_metrics",
        sa.Column(
            "run_id",
            sa.Text,
            sa.ForeignKey("training_runs.run_id", name="epoch_metrics_run", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Double) for name in ("loss", "fvu", "l0", "learning_rate")),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("logged_at", MOMENT),
    )
