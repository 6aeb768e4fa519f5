"""Traces of applications, their spans and assessments, and what they are linked with."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Written out, as in 0001: a released revision does not change.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")

# In the order of their making: each refers to earlier ones only.
TABLES = (
    "traces",
    "trace_tags",
    "trace_metadata",
    "trace_numbers",
    "spans",
    "assessments",
    "run_traces",
    "trace_prompts",
)


def _some(type_: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=nullable) for name in names.split()]


def _refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [to], name=f"{table}_{name}_fkey", ondelete=ondelete)


def _make(table: str, key: str, *parts: Any, rowid: bool = True) -> None:
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"{table}_pkey")
    op.create_table(table, *parts, primary, sqlite_strict=True, sqlite_with_rowid=rowid)


def _of_traces(table: str, key: str, *parts: Any, rowid: bool = True) -> None:
    _make(table, key, *parts, _refers(table, "trace_id", "traces.id", "CASCADE"), rowid=rowid)


def upgrade() -> None:
    """Add what is new."""
    _make(
        "traces",
        "id",
        *_some(TEXT, "id experiment_id"),
        *_some(WHOLE, "started_ms"),
        *_some(WHOLE, "duration_ms", nullable=True),
        *_some(TEXT, "state"),
        *_some(TEXT, "client_request_id request_preview response_preview", nullable=True),
        *_some(TEXT, "created_by"),
        _refers("traces", "experiment_id", "experiments.id"),
    )
    newest: list[Any] = ["experiment_id", sa.text("started_ms DESC"), "id"]
    op.create_index("traces_experiment_id_newest", "traces", newest)
    for table in ("trace_tags", "trace_metadata"):
        _of_traces(table, "trace_id key", *_some(TEXT, "trace_id key value"), rowid=False)
        op.create_index(f"{table}_key_begin", table, ["key", sa.text("substr(value, 1, 200)"), "trace_id"])
    numbers = (*_some(TEXT, "trace_id key"), *_some(REAL, "value"))
    _of_traces("trace_numbers", "trace_id key", *numbers, rowid=False)
    _spans_and_assessments()
    run = _refers("run_traces", "run_id", "runs.id")
    _of_traces("run_traces", "run_id trace_id", *_some(TEXT, "run_id trace_id"), run, rowid=False)
    _of_traces("trace_prompts", "prompt trace_id", *_some(TEXT, "prompt trace_id"), rowid=False)
    for table in ("assessments", "run_traces", "trace_prompts"):
        op.create_index(f"{table}_trace_id", table, ["trace_id"])


def _spans_and_assessments() -> None:
    _of_traces(
        "spans",
        "trace_id id",
        *_some(TEXT, "trace_id id parent_id name type status"),
        *_some(WHOLE, "started_ns"),
        *_some(WHOLE, "ended_ns", nullable=True),
        *_some(TEXT, "content usage cost model provider"),
    )
    _of_traces(
        "assessments",
        "id",
        *_some(TEXT, "id trace_id name kind value"),
        *_some(REAL, "number", nullable=True),
        *_some(FLAG, "is_numeric"),
        *_some(TEXT, "error source_type source_id source_run_id span_id rationale metadata overrides"),
        *_some(FLAG, "is_valid"),
        *_some(WHOLE, "created_ms updated_ms"),
    )


def downgrade() -> None:
    """Take away what is new."""
    for table in reversed(TABLES):
        op.drop_table(table)
