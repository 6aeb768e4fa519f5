"""Tables of data that is kept in versions."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint

from relive.stores.sql.tables.base import json, key, name, part, real, table, text, whole

datasets = table(
    "datasets",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("name", unique=True),
    text("created_by"),
    real("created_at"),
    whole("last_version"),
    Index(None, "project_id"),
)
dataset_versions = table(
    "dataset_versions",
    key(),
    name("dataset_id", ForeignKey("datasets.id")),
    text("name"),
    whole("number"),
    name("digest"),
    text("layout"),
    text("message"),
    whole("files"),
    whole("size_bytes"),
    whole("added_bytes"),
    json("profile"),
    text("source"),
    name("source_run_id"),
    text("created_by"),
    real("created_at"),
    UniqueConstraint("dataset_id", "number"),
    Index(None, "digest"),
    Index(None, "source_run_id"),
)
# Which run read which version; `path` is where it lay for the run.
dataset_reads = table(
    "dataset_reads",
    key("dataset_id"),
    part("number"),
    key("run_id"),
    key("path"),
    real("at"),
    ForeignKeyConstraint(["dataset_id"], ["datasets.id"]),
    ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
    Index(None, "run_id"),
    rowid=False,
)
