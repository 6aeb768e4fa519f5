"""Tables of what tracking clients keep beside runs: data sets, logged models, webhooks, saved views."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint

from relive.stores.sql.columns import FLOAT
from relive.stores.sql.tables.base import flag, json, key, name, part, real, table, text, whole

# What a client said that a run read; relive's own inputs, with a digest over all bytes, are in `inputs`.
logged_datasets = table(
    "logged_datasets",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    name("name"),
    name("digest"),
    text("source_type"),
    text("source"),
    text("schema"),
    text("profile"),
    UniqueConstraint("experiment_id", "name", "digest"),
)
run_datasets = table(
    "run_datasets",
    key("run_id"),
    key("dataset_id"),
    json("tags", dict[str, str]),
    real("at"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
    ForeignKeyConstraint(["dataset_id"], ["logged_datasets.id"]),
    Index(None, "dataset_id"),
    rowid=False,
)

logged_models = table(
    "logged_models",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    name("name"),
    text("artifact_location"),
    text("status"),
    text("status_message"),
    name("source_run_id"),
    text("model_type"),
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    real("deleted_at", nullable=True),
    Index(None, "experiment_id", "created_at", "id"),
    Index(None, "source_run_id"),
)
logged_model_params = table(
    "logged_model_params",
    key("model_id"),
    key("key"),
    text("value"),
    ForeignKeyConstraint(["model_id"], ["logged_models.id"]),
    rowid=False,
)
logged_model_tags = table(
    "logged_model_tags",
    key("model_id"),
    key("key"),
    text("value"),
    ForeignKeyConstraint(["model_id"], ["logged_models.id"]),
    rowid=False,
)
# The points of a run's metrics that name a model; NaN is a flag, as in `metric_points`.
logged_model_metrics = table(
    "logged_model_metrics",
    key("model_id"),
    key("key"),
    key("run_id"),
    part("step"),
    part("at", FLOAT),
    part("value", FLOAT),
    part("is_nan"),
    key("dataset_name"),
    key("dataset_digest"),
    ForeignKeyConstraint(["model_id"], ["logged_models.id"]),
    Index(None, "run_id"),
    rowid=False,
)
# Which run read a logged model, and which made it.
run_models = table(
    "run_models",
    key("run_id"),
    key("model_id"),
    key("role"),
    whole("step"),
    real("at"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
    Index(None, "model_id"),
    rowid=False,
)
# Files that clients store under an address that is no run's, such as a logged model's.
stored_files = table(
    "stored_files",
    key("path"),
    text("digest"),
    whole("size_bytes"),
    text("created_by"),
    real("created_at"),
    rowid=False,
)

webhooks = table(
    "webhooks",
    key(),
    name("name"),
    text("url"),
    json("events", tuple[str, ...]),
    text("description"),
    text("status"),
    text("secret"),  # sealed with the hub's secret key
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    Index(None, "created_at", "id"),
)
webhook_deliveries = table(
    "webhook_deliveries",
    key(),
    name("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE")),
    text("event"),
    text("body"),
    whole("attempts"),
    whole("status", nullable=True),  # the last answer's
    text("error"),
    flag("is_done"),
    real("created_at"),
    real("done_at", nullable=True),
    Index(None, "webhook_id", "created_at", "id"),
)

saved_views = table(
    "saved_views",
    key(),
    name("project_id"),
    name("name"),
    text("query"),
    text("created_by"),
    real("created_at"),
    UniqueConstraint("project_id", "name"),
)
