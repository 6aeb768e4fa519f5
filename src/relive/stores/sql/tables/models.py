"""Tables of the model registry and of endpoints."""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint

from relive.core.endpoint import RevisionState
from relive.core.model import Signature
from relive.stores.sql.columns import OptionalWords
from relive.stores.sql.tables.base import choice, json, key, later, name, real, table, text, whole

models = table(
    "models",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("name", unique=True),
    real("created_at"),
    whole("last_version"),
    later("description"),
    later("created_by"),
    real("updated_at", nullable=True),
    Index(None, "project_id", "name"),
)
model_tags = table(
    "model_tags",
    key("model_id"),
    key("key"),
    text("value"),
    ForeignKeyConstraint(["model_id"], ["models.id"], ondelete="CASCADE"),
    rowid=False,
)
model_versions = table(
    "model_versions",
    key(),
    name("model_id", ForeignKey("models.id")),
    text("model"),
    whole("version"),
    name("run_id"),
    text("manifest"),
    text("sha256"),
    text("pipeline_id"),
    Column("stage_id", OptionalWords("stage id"), unique=True),
    text("loader"),
    text("contract"),
    json("signature", Signature | None, nullable=True),
    text("provenance"),
    text("status"),
    json("facts"),
    text("created_by"),
    real("created_at"),
    later("description"),
    later("source"),
    later("run_link"),
    later("stage"),
    later("logged_model_id"),
    real("updated_at", nullable=True),
    UniqueConstraint("model_id", "version"),
    Index(None, "run_id"),
)
version_tags = table(
    "version_tags",
    key("version_id"),
    key("key"),
    text("value"),
    ForeignKeyConstraint(["version_id"], ["model_versions.id"], ondelete="CASCADE"),
    rowid=False,
)
aliases = table(
    "aliases",
    key("model"),
    key("alias"),
    whole("version"),
    whole("previous", nullable=True),
    text("moved_by"),
    real("moved_at"),
    ForeignKeyConstraint(["model"], ["models.name"]),
    rowid=False,
)
endpoints = table(
    "endpoints",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("name", unique=True),
    text("model"),
    text("live"),
    text("previous"),
    real("created_at"),
    whole("last_revision"),
    Index(None, "project_id", "name"),
)
revisions = table(
    "revisions",
    key(),
    name("endpoint_id", ForeignKey("endpoints.id", ondelete="CASCADE")),
    whole("number"),
    name("version_id", ForeignKey("model_versions.id")),
    choice("state", RevisionState),
    text("job_id"),
    text("address"),
    Column("stage_id", OptionalWords("stage id"), unique=True),
    whole("restarts"),
    text("error"),
    json("facts"),
    real("created_at"),
    real("ready_at", nullable=True),
    UniqueConstraint("endpoint_id", "number"),
    Index(None, "state"),
)
