"""Tables of accounts, projects and what happened."""

from sqlalchemy import ForeignKey, Index, UniqueConstraint

from relive.core.access import Scope
from relive.stores.sql.tables.base import choice, json, key, later, name, real, serial, table, text, whole

users = table(
    "users",
    key(),
    name("name", unique=True),
    choice("role", Scope),
    real("created_at"),
)
tokens = table(
    "tokens",
    key(),
    text("secret_sha256"),
    choice("scope", Scope),
    name("subject"),
    text("label"),
    text("project_id"),
    text("run_id"),
    whole("fence"),
    real("expires_at", nullable=True),
    real("last_used_at", nullable=True),
    real("created_at"),
    Index(None, "subject", "created_at"),
)

projects = table(
    "projects",
    key(),
    name("name", unique=True),
    text("default_branch"),
    text("mirror"),
    real("created_at"),
    whole("last_pipeline"),  # the number its next pipeline counts on from
)
experiments = table(
    "experiments",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("name"),
    real("created_at"),
    later("artifact_location"),
    later("created_by"),
    real("updated_at", nullable=True),
    real("deleted_at", nullable=True),
    UniqueConstraint("project_id", "name"),
    Index(None, "name", "created_at"),
    Index(None, "created_at", "id"),
)
experiment_tags = table("experiment_tags", key("experiment_id"), key("key"), text("value"), rowid=False)
refs = table("refs", key("project_id"), key("ref"), text("commit"), rowid=False)
deliveries = table("deliveries", key("forge"), key("delivery_id"), real("at"), rowid=False)
meta = table("meta", key("key"), text("value"), rowid=False)
counters = table("counters", key("name"), whole("value"), rowid=False)

events = table(
    "events",
    serial("id"),
    name("kind"),
    text("actor"),
    name("subject"),
    name("project"),
    json("facts"),
    real("at"),
    Index(None, "kind", "id"),
    Index(None, "subject", "id"),
    Index(None, "project", "id"),
    autoincrement=True,
)
