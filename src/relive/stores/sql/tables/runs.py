"""Tables of runs and what they record."""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func

from relive.core.run import FailureReason, ResourceUse, RunKind, RunStatus
from relive.core.trajectory import Verdict
from relive.stores.sql.columns import BYTES, FLOAT
from relive.stores.sql.shown import Shown, beginning
from relive.stores.sql.tables.base import (
    choice,
    flag,
    json,
    key,
    name,
    part,
    real,
    serial,
    span,
    table,
    text,
    whole,
)

runs = table(
    "runs",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("experiment_id", ForeignKey("experiments.id")),
    name("name"),
    choice("kind", RunKind),
    choice("status", RunStatus),
    text("actor"),
    name("pipeline_id"),
    name("stage_id"),
    text("stage"),
    name("job_id"),
    whole("fence"),
    text("command"),
    text("commit"),
    whole("exit_code", nullable=True),
    choice("failure", FailureReason, nullable=True),
    text("reason"),
    text("recipe"),
    text("recipe_digest"),
    text("trajectory"),
    text("log"),
    whole("log_bytes"),
    name("replay_of"),
    text("superseded_by"),
    flag("tainted"),
    json("usage", ResourceUse | None, nullable=True),
    *span(),
    real("deleted_at", nullable=True),
    real("heard_at", nullable=True),
    # What a table of runs is narrowed by, each in the orders it is shown in; see `run_pages`.
    Index(None, "created_at", "id"),
    Index(None, "project_id", "created_at", "id"),
    Index(None, "project_id", "status", "created_at", "id"),
    Index(None, "project_id", "name", "created_at", "id"),
    Index(None, "project_id", "started_at", "created_at", "id"),
    Index(None, "project_id", "ended_at", "created_at", "id"),
    Index(None, "experiment_id", "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "kind", "created_at", "id"),
    Index(None, "pipeline_id", "created_at", "id"),
    Index(None, "stage_id", "created_at", "id"),
    Index(None, "replay_of", "created_at", "id"),
)
# MLflow's own order: newest begun first.
_BEGUN = func.coalesce(runs.c.started_at, runs.c.created_at).desc()
Index("runs_experiment_id_begun", runs.c.experiment_id, _BEGUN, runs.c.id)
Index("runs_begun", _BEGUN, runs.c.id, runs.c.experiment_id)
run_words = table(
    "run_words",
    key("word"),
    key("run_id"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
    Index(None, "run_id"),
    rowid=False,
)
params = table("params", key("run_id"), key("key"), text("value"), rowid=False)
tags = table("tags", key("run_id"), key("key"), text("value"), rowid=False)
# Only the beginning of a value is in an index, because a value has no limit that an index could hold.
Index("params_key_shown", params.c.key, beginning(Shown(params.c.value)), params.c.run_id)
Index("tags_key_begin", tags.c.key, beginning(tags.c.value), tags.c.run_id)
# What is kept of each series, in the same transaction as its points. NULL stands for NaN.
metric_series = table(
    "metric_series",
    serial("id"),
    name("run_id", ForeignKey("runs.id")),
    name("key"),
    real("last", nullable=True),
    whole("last_step"),
    real("last_at"),
    real("first", nullable=True),
    whole("first_step"),
    real("first_at"),
    real("min", nullable=True),
    real("max", nullable=True),
    whole("count"),
    whole("packed", nullable=True),  # how many of them lie in chunks; NULL for none
    UniqueConstraint("run_id", "key"),
    Index(None, "key", "last", "run_id"),
)
# The hottest table: all of it is its primary key, and a foreign key would look each point's series up.
metric_points = table(
    "metric_points",
    part("series_id"),
    part("step"),
    part("at", FLOAT),
    part("value", FLOAT),  # 0 if is_nan
    part("is_nan"),
    rowid=False,
)
# Points that were packed: stretches of a series that do not overlap. A place is (step, time, whether it is a
# number, value); what is read without the points stands before them.
metric_chunks = table(
    "metric_chunks",
    serial("id"),
    whole("series_id"),
    whole("first_step"),
    real("first_at"),
    whole("first_is_number"),
    real("first_value"),
    whole("last_step"),
    real("last_at"),
    whole("last_is_number"),
    real("last_value"),
    whole("count"),
    Column("sketch", BYTES, nullable=False),
    Column("points", BYTES, nullable=False),
    Index(
        "metric_chunks_place",
        "series_id",
        "first_step",
        "first_at",
        "first_is_number",
        "first_value",
        unique=True,
    ),
)
# Runs with rows to pack; `is_long` if a series of one has so many that it should not wait for the run's end.
metric_tails = table("metric_tails", key("run_id"), flag("is_long"), rowid=False)
metric_batches = table("metric_batches", key("run_id"), key("batch"), real("at"), rowid=False)
artifacts = table(
    "artifacts",
    key("run_id"),
    key("path"),
    text("manifest"),
    whole("size_bytes"),
    whole("files"),
    text("kind"),
    rowid=False,
)
inputs = table(
    "inputs",
    key("run_id"),
    key("path"),
    key("manifest"),
    text("origin"),
    name("source_run_id"),
    Index(None, "source_run_id"),
    rowid=False,
)
log_chunks = table(
    "log_chunks",
    key("run_id"),
    part("start"),
    Column("data", BYTES, nullable=False),
)
verdicts = table(
    "verdicts",
    key(),
    name("run_id", ForeignKey("runs.id")),
    real("at"),
    json("body", Verdict),
    Index(None, "run_id", "at", "id"),
)
