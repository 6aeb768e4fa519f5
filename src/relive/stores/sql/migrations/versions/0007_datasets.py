"""Data that is kept in versions, and which run read which."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# In the order of their making: each refers to earlier ones only.
TABLES = ("datasets", "dataset_versions", "dataset_reads")


def _some(type_: Any, names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=False) for name in names.split()]


def _unique(table: str, names: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*names.split(), name=f"{table}_{names.replace(' ', '_')}_key")


def _refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [to], name=f"{table}_{name}_fkey", ondelete=ondelete)


def _make(table: str, key: str, *parts: Any, **options: Any) -> None:
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"{table}_pkey")
    op.create_table(table, *parts, primary, sqlite_strict=True, **options)


def _index(table: str, names: str) -> None:
    op.create_index(f"{table}_{names.replace(' ', '_')}", table, names.split())


def upgrade() -> None:
    """Add what is new."""
    _make(
        "datasets",
        "id",
        *_some(TEXT, "id project_id name created_by"),
        *_some(REAL, "created_at"),
        *_some(WHOLE, "last_version"),
        _unique("datasets", "name"),
        _refers("datasets", "project_id", "projects.id"),
    )
    _index("datasets", "project_id")
    _make(
        "dataset_versions",
        "id",
        *_some(TEXT, "id dataset_id name"),
        *_some(WHOLE, "number"),
        *_some(TEXT, "digest layout message"),
        *_some(WHOLE, "files size_bytes added_bytes"),
        *_some(TEXT, "profile source source_run_id created_by"),
        *_some(REAL, "created_at"),
        _unique("dataset_versions", "dataset_id number"),
        _refers("dataset_versions", "dataset_id", "datasets.id"),
    )
    _index("dataset_versions", "digest")
    _index("dataset_versions", "source_run_id")
    _make(
        "dataset_reads",
        "dataset_id number run_id path",
        *_some(TEXT, "dataset_id"),
        *_some(WHOLE, "number"),
        *_some(TEXT, "run_id path"),
        *_some(REAL, "at"),
        _refers("dataset_reads", "dataset_id", "datasets.id"),
        _refers("dataset_reads", "run_id", "runs.id", "CASCADE"),
        sqlite_with_rowid=False,
    )
    _index("dataset_reads", "run_id")


def downgrade() -> None:
    """Take away what is new."""
    for table in reversed(TABLES):
        op.drop_table(table)
