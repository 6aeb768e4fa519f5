"""Tables of pipelines and of the queue."""

from sqlalchemy import (
    Column,
    Computed,
    ForeignKey,
    Index,
    UniqueConstraint,
)

from relive.core.job import JobKind, JobState
from relive.core.pipeline import Action, PipelineSpec, PipelineStatus, PlannedStage, StageStatus
from relive.stores.sql.columns import FLOAT, OptionalWords
from relive.stores.sql.tables.base import (
    choice,
    flag,
    json,
    key,
    name,
    partial_on_postgres,
    real,
    serial,
    span,
    table,
    text,
    whole,
)

pipelines = table(
    "pipelines",
    key(),
    name("project_id", ForeignKey("projects.id")),
    whole("number"),
    name("commit"),
    text("ref"),
    text("trigger"),
    text("actor"),
    choice("status", PipelineStatus),
    text("title"),
    text("code"),
    text("environment"),
    json("spec", PipelineSpec | None, nullable=True),
    text("error"),
    json("warnings", tuple[str, ...]),
    text("rerun_of"),
    *span(),
    UniqueConstraint("project_id", "number"),
    Index(None, "created_at", "id"),
    Index(None, "project_id", "created_at", "id"),
    Index(None, "status", "created_at", "id"),
    Index(None, "commit", "created_at", "id"),
)
stages = table(
    "stages",
    key(),
    name("pipeline_id", ForeignKey("pipelines.id")),
    name("key"),
    text("name"),
    choice("action", Action),
    choice("status", StageStatus),
    json("planned", PlannedStage),
    whole("position"),
    text("cache_key"),
    json("cache_facts", dict[str, str]),
    text("run_id"),
    text("job_id"),
    whole("attempts"),
    text("reason"),
    json("result"),
    real("queued_at", nullable=True),
    real("started_at", nullable=True),
    real("ended_at", nullable=True),
    UniqueConstraint("pipeline_id", "key"),
    Index(None, "run_id"),
)
stage_cache = table(
    "stage_cache",
    key("project_id"),
    key("cache_key"),
    key("scope"),
    text("run_id"),
    real("created_at"),
    rowid=False,
)
environments = table("environments", key("key"), text("lock_digest"), real("created_at"), rowid=False)

# The one rule of when a job may be claimed, so that no statement can forget a part of it.
_CLAIMABLE_AT = (
    "CASE WHEN state = 'queued' THEN run_after "
    "WHEN state = 'running' AND attempt < max_attempts AND NOT cancel_requested THEN lease_until END"
)

jobs = table(
    "jobs",
    serial("seq"),  # the order of arrival, whatever the clock does
    name("id", unique=True),
    choice("kind", JobKind),
    choice("state", JobState),
    name("pool"),
    name("subject"),
    text("project_id"),
    json("payload"),
    whole("priority"),
    real("run_after"),
    whole("attempt"),
    whole("max_attempts"),
    whole("fence"),
    text("lease_owner"),
    real("lease_until"),
    real("lease_s"),
    json("handle"),
    flag("cancel_requested"),
    json("result"),
    text("error"),
    *span(),
    Column("unique_key", OptionalWords("unique key"), unique=True),
    Column("claimable_at", FLOAT, Computed(_CLAIMABLE_AT, persisted=True)),
    Index(None, "state", "seq"),
    Index(None, "subject", "seq"),
    autoincrement=True,
)
# The only index that a claim could use: it holds what is unfinished, in the order it is claimed in, and stays
# small however many jobs have ended.
claimable = Index(
    "jobs_claimable",
    jobs.c.priority.desc(),
    jobs.c.seq,
    jobs.c.claimable_at,
    jobs.c.pool,
    jobs.c.kind,
    sqlite_where=jobs.c.claimable_at.is_not(None),
)


partial_on_postgres(jobs, claimable, jobs.c.claimable_at.is_not(None))
locks = table("locks", key("name"), text("owner"), real("lease_until"), real("lease_s"), rowid=False)
pools = table("pools", key("name"), text("executor"), json("config"), whole("slots"))
