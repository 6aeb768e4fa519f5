"""What tracking clients keep: lifecycles, experiment and model tags, data sets, logged models, webhooks."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")

# In the order of their making: each refers to earlier ones only.
TABLES = (
    "experiment_tags",
    "model_tags",
    "version_tags",
    "logged_datasets",
    "run_datasets",
    "logged_models",
    "logged_model_params",
    "logged_model_tags",
    "logged_model_metrics",
    "run_models",
    "stored_files",
    "webhooks",
    "webhook_deliveries",
    "saved_views",
)
# All may be absent, so that an older hub on the same database goes on.
COLUMNS: tuple[tuple[str, Any, str], ...] = (
    ("experiments", TEXT, "artifact_location created_by"),
    ("experiments", REAL, "updated_at deleted_at"),
    ("runs", REAL, "deleted_at"),
    ("models", TEXT, "description created_by"),
    ("models", REAL, "updated_at"),
    ("model_versions", TEXT, "description source run_link stage logged_model_id"),
    ("model_versions", REAL, "updated_at"),
)
INDEXES = (("experiments", "created_at id"),)
BEGUN = sa.text("coalesce(started_at, created_at) DESC")


def _some(type_: Any, names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=False) for name in names.split()]


def _unique(table: str, names: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*names.split(), name=f"{table}_{names.replace(' ', '_')}_key")


def _refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [to], name=f"{table}_{name}_fkey", ondelete=ondelete)


def _make(table: str, key: str, *parts: Any, **options: Any) -> None:
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"{table}_pkey")
    op.create_table(table, *parts, primary, sqlite_strict=True, **options)


def _pairs(table: str, owner: str, to: str = "", ondelete: str | None = None) -> None:
    """Make a table of keys and values."""
    refers = [_refers(table, owner, to, ondelete)] if to else []
    _make(table, f"{owner} key", *_some(TEXT, f"{owner} key value"), *refers, sqlite_with_rowid=False)


def _index(table: str, names: str) -> None:
    op.create_index(f"{table}_{names.replace(' ', '_')}", table, names.split())


def upgrade() -> None:
    """Add what is new."""
    for table, type_, names in COLUMNS:
        for name in names.split():
            op.add_column(table, sa.Column(name, type_))
    for table, names in INDEXES:
        _index(table, names)
    op.create_index("runs_experiment_id_begun", "runs", ["experiment_id", BEGUN, "id"])
    op.create_index("runs_begun", "runs", [BEGUN, "id", "experiment_id"])
    for table in ("params", "tags"):
        op.create_index(f"{table}_key_begin", table, ["key", sa.text("substr(value, 1, 200)"), "run_id"])
    _pairs("experiment_tags", "experiment_id")
    _pairs("model_tags", "model_id", "models.id", "CASCADE")
    _pairs("version_tags", "version_id", "model_versions.id", "CASCADE")
    _datasets()
    _logged_models()
    _webhooks()
    _make(
        "saved_views",
        "id",
        *_some(TEXT, "id project_id name query created_by"),
        *_some(REAL, "created_at"),
        _unique("saved_views", "project_id name"),
    )


def _datasets() -> None:
    _make(
        "logged_datasets",
        "id",
        *_some(TEXT, "id experiment_id name digest source_type source schema profile"),
        _unique("logged_datasets", "experiment_id name digest"),
        _refers("logged_datasets", "experiment_id", "experiments.id"),
    )
    _make(
        "run_datasets",
        "run_id dataset_id",
        *_some(TEXT, "run_id dataset_id tags"),
        *_some(REAL, "at"),
        _refers("run_datasets", "run_id", "runs.id"),
        _refers("run_datasets", "dataset_id", "logged_datasets.id"),
        sqlite_with_rowid=False,
    )
    _index("run_datasets", "dataset_id")


def _logged_models() -> None:
    _make(
        "logged_models",
        "id",
        *_some(TEXT, "id experiment_id name artifact_location status status_message"),
        *_some(TEXT, "source_run_id model_type created_by"),
        *_some(REAL, "created_at updated_at"),
        sa.Column("deleted_at", REAL),
        _refers("logged_models", "experiment_id", "experiments.id"),
    )
    _index("logged_models", "experiment_id created_at id")
    _index("logged_models", "source_run_id")
    _pairs("logged_model_params", "model_id", "logged_models.id")
    _pairs("logged_model_tags", "model_id", "logged_models.id")
    _make(
        "logged_model_metrics",
        "model_id key run_id step at value is_nan dataset_name dataset_digest",
        *_some(TEXT, "model_id key run_id"),
        *_some(WHOLE, "step"),
        *_some(REAL, "at value"),
        *_some(WHOLE, "is_nan"),
        *_some(TEXT, "dataset_name dataset_digest"),
        _refers("logged_model_metrics", "model_id", "logged_models.id"),
        sqlite_with_rowid=False,
    )
    _index("logged_model_metrics", "run_id")
    _make(
        "run_models",
        "run_id model_id role",
        *_some(TEXT, "run_id model_id role"),
        *_some(WHOLE, "step"),
        *_some(REAL, "at"),
        _refers("run_models", "run_id", "runs.id"),
        sqlite_with_rowid=False,
    )
    _index("run_models", "model_id")
    _make(
        "stored_files",
        "path",
        *_some(TEXT, "path digest"),
        *_some(WHOLE, "size_bytes"),
        *_some(TEXT, "created_by"),
        *_some(REAL, "created_at"),
        sqlite_with_rowid=False,
    )


def _webhooks() -> None:
    _make(
        "webhooks",
        "id",
        *_some(TEXT, "id name url events description status secret created_by"),
        *_some(REAL, "created_at updated_at"),
    )
    _index("webhooks", "created_at id")
    _make(
        "webhook_deliveries",
        "id",
        *_some(TEXT, "id webhook_id event body"),
        *_some(WHOLE, "attempts"),
        sa.Column("status", WHOLE),
        *_some(TEXT, "error"),
        *_some(FLAG, "is_done"),
        *_some(REAL, "created_at"),
        sa.Column("done_at", REAL),
        _refers("webhook_deliveries", "webhook_id", "webhooks.id", "CASCADE"),
    )
    _index("webhook_deliveries", "webhook_id created_at id")


def downgrade() -> None:
    """Take away what is new."""
    for table in reversed(TABLES):
        op.drop_table(table)
    for table in ("params", "tags"):
        op.drop_index(f"{table}_key_begin", table)
    for name in ("runs_experiment_id_begun", "runs_begun"):
        op.drop_index(name, "runs")
    for table, names in INDEXES:
        op.drop_index(f"{table}_{names.replace(' ', '_')}", table)
    for table, _, names in COLUMNS:
        for name in names.split():
            op.drop_column(table, name)
