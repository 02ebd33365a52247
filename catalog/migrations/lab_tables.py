"""The tables that version 2 adds: remarks on labels, lists, the review queue, people, feature statistics, logged metrics."""

import sqlalchemy as sa
from alembic import op

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLES = "role in ('viewer', 'labeller', 'admin')"
LABEL = ["sae_fingerprint", "feature_id", "version"]
LABEL_KEY = [f"labels.{column}" for column in LABEL]
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


def create_tables() -> None:
    """Create all of them, empty."""
    _create_remarks()
    _create_lists()
    _create_queue()
    _create_people()
    _create_features()


def drop_tables() -> None:
    """Drop all of them with what they hold."""
    for table in TABLES:
        op.drop_table(table)


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
