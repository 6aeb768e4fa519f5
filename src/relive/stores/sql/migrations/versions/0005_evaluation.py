"""What answers are judged by: data sets for evaluation, their records, and scorers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# In the order of their making: each refers to earlier ones only.
TABLES = (
    "evaluation_datasets",
    "evaluation_tags",
    "evaluation_experiments",
    "evaluation_records",
    "scorers",
    "scorer_versions",
)


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
        "evaluation_datasets",
        "id",
        *_some(TEXT, "id project_id name digest schema"),
        *_some(WHOLE, "records"),
        *_some(TEXT, "author last_author created_by"),
        *_some(REAL, "created_at updated_at"),
        _refers("evaluation_datasets", "project_id", "projects.id"),
    )
    _index("evaluation_datasets", "created_at id")
    _index("evaluation_datasets", "project_id")
    _make(
        "evaluation_tags",
        "dataset_id key",
        *_some(TEXT, "dataset_id key value"),
        _refers("evaluation_tags", "dataset_id", "evaluation_datasets.id", "CASCADE"),
        sqlite_with_rowid=False,
    )
    _make(
        "evaluation_experiments",
        "dataset_id experiment_id",
        *_some(TEXT, "dataset_id experiment_id"),
        *_some(REAL, "at"),
        _refers("evaluation_experiments", "dataset_id", "evaluation_datasets.id", "CASCADE"),
        _refers("evaluation_experiments", "experiment_id", "experiments.id"),
        sqlite_with_rowid=False,
    )
    _index("evaluation_experiments", "experiment_id")
    _records()
    _scorers()


def _records() -> None:
    _make(
        "evaluation_records",
        "id",
        *_some(TEXT, "id dataset_id"),
        *_some(WHOLE, "number"),
        *_some(TEXT, "input_digest inputs outputs expectations tags source author last_author"),
        *_some(REAL, "created_at updated_at"),
        _unique("evaluation_records", "dataset_id number"),
        _unique("evaluation_records", "dataset_id input_digest"),
        _refers("evaluation_records", "dataset_id", "evaluation_datasets.id", "CASCADE"),
    )


def _scorers() -> None:
    _make(
        "scorers",
        "id",
        *_some(TEXT, "id experiment_id name created_by"),
        _unique("scorers", "experiment_id name"),
        _refers("scorers", "experiment_id", "experiments.id"),
    )
    _make(
        "scorer_versions",
        "scorer_id version",
        *_some(TEXT, "scorer_id"),
        *_some(WHOLE, "version"),
        *_some(TEXT, "body"),
        *_some(REAL, "created_at"),
        _refers("scorer_versions", "scorer_id", "scorers.id", "CASCADE"),
    )


def downgrade() -> None:
    """Take away what is new."""
    for table in reversed(TABLES):
        op.drop_table(table)
