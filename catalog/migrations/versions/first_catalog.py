"""Version 1: labels with their history, training runs and pipeline jobs."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schema_version",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="schema_version_one_row"),
    )
    op.execute("insert into schema_version (id, version) values (1, 1)")
    op.create_table(
        "labels",
        sa.Column("sae_fingerprint", sa.Text, primary_key=True),
        sa.Column("feature_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("replaces", sa.BigInteger),
        sa.ForeignKeyConstraint(
            ["sae_fingerprint", "feature_id", "replaces"],
            ["labels.sae_fingerprint", "labels.feature_id", "labels.version"],
            name="labels_replaces",
        ),
        sa.CheckConstraint("version = coalesce(replaces, 0) + 1", name="labels_version"),
    )
    op.create_table(
        "training_runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("sae_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("total_steps", sa.BigInteger),
        sa.Column("config", sa.JSON, nullable=False),
        sa.Column("latest_metrics", sa.JSON, nullable=False),
        sa.Column("final_metrics", sa.JSON),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("heartbeat", MOMENT, nullable=False),
        sa.Column("completed_at", MOMENT),
        sa.Column("error_message", sa.Text),
        sa.Column("pid", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("started_done", sa.BigInteger, nullable=False),
        sa.Column("advanced_at", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("heartbeat", MOMENT),
        sa.Column("pid", sa.BigInteger),
    )


def downgrade() -> None:
    for table in ("jobs", "training_runs", "labels", "schema_version"):
        op.drop_table(table)
