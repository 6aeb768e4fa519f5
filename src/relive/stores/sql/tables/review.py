"""Tables of reviews: what people are asked of traces, which traces they look at, what problems were found."""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint

from relive.core.review import IssueSeverity, IssueStatus, LabelKind, QueueKind, ReviewStatus
from relive.stores.sql.columns import OptionalWords, Words
from relive.stores.sql.tables.base import choice, flag, json, key, name, real, table, text

label_schemas = table(
    "label_schemas",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    name("name"),
    choice("kind", LabelKind),
    json("input"),
    Column("instruction", Words("instruction"), nullable=True),
    flag("enable_comment"),
    flag("is_default"),
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    UniqueConstraint("experiment_id", "name"),
)
review_queues = table(
    "review_queues",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    text("name"),
    name("folded_name"),
    choice("kind", QueueKind),
    json("schema_ids", tuple[str, ...]),
    text("owner"),
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    UniqueConstraint("experiment_id", "folded_name"),
)
# Who shall look at a queue's traces.
review_users = table(
    "review_users",
    key("queue_id"),
    key("user_name"),
    ForeignKeyConstraint(["queue_id"], ["review_queues.id"], ondelete="CASCADE"),
    Index(None, "user_name"),
    rowid=False,
)
review_items = table(
    "review_items",
    key("queue_id"),
    key("trace_id"),
    choice("status", ReviewStatus),
    text("completed_by"),
    real("completed_at", nullable=True),
    real("created_at"),
    real("updated_at"),
    ForeignKeyConstraint(["queue_id"], ["review_queues.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["trace_id"], ["traces.id"], ondelete="CASCADE"),
    Index(None, "trace_id"),
    rowid=False,
)
issues = table(
    "issues",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    text("name"),
    text("description"),
    choice("status", IssueStatus),
    choice("severity", IssueSeverity, nullable=True),
    json("root_causes", tuple[str, ...]),
    Column(
        "source_run_id",
        OptionalWords("source_run_id"),
        ForeignKey("runs.id", ondelete="SET NULL"),
        nullable=True,
    ),
    json("categories", tuple[str, ...]),
    text("author"),
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    Index(None, "experiment_id"),
    Index(None, "source_run_id"),
)
