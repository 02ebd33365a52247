"""Version 2: labels say more; votes, comments, lists, the review queue, people, feature statistics and logged metrics."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from catalog.migrations.lab_tables import LABEL_KEY, MOMENT, create_tables, drop_tables

revision = "2"
down_revision = "1"

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
    create_tables()
    op.execute("update schema_version set version = 2")


def downgrade() -> None:
    drop_tables()
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
