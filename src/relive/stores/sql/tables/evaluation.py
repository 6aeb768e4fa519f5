"""Tables of what answers are judged by: data sets for evaluation, and scorers."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint

from relive.stores.sql.tables.base import key, name, part, real, table, text, whole

evaluation_datasets = table(
    "evaluation_datasets",
    key(),
    name("project_id", ForeignKey("projects.id")),
    name("name"),
    text("digest"),
    text("schema"),
    whole("records"),
    text("author"),
    text("last_author"),
    text("created_by"),
    real("created_at"),
    real("updated_at"),
    Index(None, "created_at", "id"),
    Index(None, "project_id"),
)
evaluation_tags = table(
    "evaluation_tags",
    key("dataset_id"),
    key("key"),
    text("value"),
    ForeignKeyConstraint(["dataset_id"], ["evaluation_datasets.id"], ondelete="CASCADE"),
    rowid=False,
)
# Which experiments share a data set.
evaluation_experiments = table(
    "evaluation_experiments",
    key("dataset_id"),
    key("experiment_id"),
    real("at"),
    ForeignKeyConstraint(["dataset_id"], ["evaluation_datasets.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["experiment_id"], ["experiments.id"]),
    Index(None, "experiment_id"),
    rowid=False,
)
evaluation_records = table(
    "evaluation_records",
    key(),
    name("dataset_id", ForeignKey("evaluation_datasets.id", ondelete="CASCADE")),
    whole("number"),
    name("input_digest"),
    text("inputs"),
    text("outputs"),
    text("expectations"),
    text("tags"),
    text("source"),
    text("author"),
    text("last_author"),
    real("created_at"),
    real("updated_at"),
    UniqueConstraint("dataset_id", "number"),
    UniqueConstraint("dataset_id", "input_digest"),
)

scorers = table(
    "scorers",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    name("name"),
    text("created_by"),
    UniqueConstraint("experiment_id", "name"),
)
scorer_versions = table(
    "scorer_versions",
    key("scorer_id"),
    part("version"),
    text("body"),
    real("created_at"),
    ForeignKeyConstraint(["scorer_id"], ["scorers.id"], ondelete="CASCADE"),
)
