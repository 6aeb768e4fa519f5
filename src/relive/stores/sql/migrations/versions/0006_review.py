"""What people judge traces by: questions, queues of traces, and the problems they show."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
SHOWS_ISSUE = sa.text("kind = 'issue' AND length(name) <= 64")

# In the order of their making: each refers to earlier ones only.
TABLES = ("label_schemas", "review_queues", "review_users", "review_items", "issues")


def _some(type_: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=nullable) for name in names.split()]


def _unique(table: str, names: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*names.split(), name=f"{table}_{names.replace(' ', '_')}_key")


def _refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [to], name=f"{table}_{name}_fkey", ondelete=ondelete)


def _make(table: str, key: str, *parts: Any, **options: Any) -> None:
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"{table}_pkey")
    op.create_table(table, *parts, primary, sqlite_strict=True, **options)


def upgrade() -> None:
    """Add what is new."""
    _make(
        "label_schemas",
        "id",
        *_some(TEXT, "id experiment_id name kind input"),
        *_some(TEXT, "instruction", nullable=True),
        *_some(FLAG, "enable_comment is_default"),
        *_some(TEXT, "created_by"),
        *_some(REAL, "created_at updated_at"),
        _unique("label_schemas", "experiment_id name"),
        _refers("label_schemas", "experiment_id", "experiments.id"),
    )
    _queues()
    _issues()


def _queues() -> None:
    _make(
        "review_queues",
        "id",
        *_some(TEXT, "id experiment_id name folded_name kind schema_ids owner created_by"),
        *_some(REAL, "created_at updated_at"),
        _unique("review_queues", "experiment_id folded_name"),
        _refers("review_queues", "experiment_id", "experiments.id"),
    )
    _make(
        "review_users",
        "queue_id user_name",
        *_some(TEXT, "queue_id user_name"),
        _refers("review_users", "queue_id", "review_queues.id", "CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("review_users_user_name", "review_users", ["user_name"])
    _make(
        "review_items",
        "queue_id trace_id",
        *_some(TEXT, "queue_id trace_id status completed_by"),
        *_some(REAL, "completed_at", nullable=True),
        *_some(REAL, "created_at updated_at"),
        _refers("review_items", "queue_id", "review_queues.id", "CASCADE"),
        _refers("review_items", "trace_id", "traces.id", "CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("review_items_trace_id", "review_items", ["trace_id"])


def _issues() -> None:
    _make(
        "issues",
        "id",
        *_some(TEXT, "id experiment_id name description status"),
        *_some(TEXT, "severity", nullable=True),
        *_some(TEXT, "root_causes"),
        *_some(TEXT, "source_run_id", nullable=True),
        *_some(TEXT, "categories author created_by"),
        *_some(REAL, "created_at updated_at"),
        _refers("issues", "experiment_id", "experiments.id"),
        _refers("issues", "source_run_id", "runs.id", "SET NULL"),
    )
    op.create_index("issues_experiment_id", "issues", ["experiment_id"])
    op.create_index("issues_source_run_id", "issues", ["source_run_id"])
    op.create_index(
        "assessments_issue",
        "assessments",
        ["name", "trace_id"],
        sqlite_where=SHOWS_ISSUE,
        postgresql_where=SHOWS_ISSUE,
    )


def downgrade() -> None:
    """Take away what is new."""
    op.drop_index("assessments_issue", "assessments")
    for table in reversed(TABLES):
        op.drop_table(table)
