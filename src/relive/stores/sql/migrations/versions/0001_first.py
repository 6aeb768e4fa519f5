"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Written out, not taken from the tables' module: that one goes on changing, a released revision does not.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL: Any = sa.Double().with_variant(sa.REAL(), "sqlite")
WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
BYTES = sa.LargeBinary()
CLAIMABLE_AT = (
    "CASE WHEN state = 'queued' THEN run_after "
    "WHEN state = 'running' AND attempt < max_attempts AND NOT cancel_requested THEN lease_until END"
)

# In the order of their making: each refers to earlier ones only.
TABLES = (
    "users",
    "tokens",
    "projects",
    "experiments",
    "refs",
    "deliveries",
    "meta",
    "counters",
    "runs",
    "run_words",
    "params",
    "tags",
    "metric_series",
    "metric_points",
    "metric_batches",
    "artifacts",
    "inputs",
    "log_chunks",
    "verdicts",
    "pipelines",
    "stages",
    "stage_cache",
    "environments",
    "jobs",
    "locks",
    "pools",
    "models",
    "model_versions",
    "aliases",
    "endpoints",
    "revisions",
    "events",
)


def _some(type_: Any, names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_, nullable=False) for name in names.split()]


def _maybe(type_: Any, names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_) for name in names.split()]


def _unique(table: str, names: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*names.split(), name=f"{table}_{names.replace(' ', '_')}_key")


def _refers(table: str, name: str, to: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], [to], name=f"{table}_{name}_fkey", ondelete=ondelete)


def _make(table: str, key: str, *parts: Any, **options: Any) -> None:
    primary = sa.PrimaryKeyConstraint(*key.split(), name=f"{table}_pkey")
    op.create_table(table, *parts, primary, sqlite_strict=True, **options)


def _index(table: str, *indexes: str) -> None:
    for names in indexes:
        op.create_index(f"{table}_{names.replace(' ', '_')}", table, names.split())


def upgrade() -> None:
    """Make every table."""
    _make("users", "id", *_some(TEXT, "id name role"), *_some(REAL, "created_at"), _unique("users", "name"))
    _make(
        "tokens",
        "id",
        *_some(TEXT, "id secret_sha256 scope subject label project_id run_id"),
        *_some(WHOLE, "fence"),
        *_maybe(REAL, "expires_at last_used_at"),
        *_some(REAL, "created_at"),
    )
    _index("tokens", "subject created_at")
    _make(
        "projects",
        "id",
        *_some(TEXT, "id name default_branch mirror"),
        *_some(REAL, "created_at"),
        *_some(WHOLE, "last_pipeline"),
        _unique("projects", "name"),
    )
    _make(
        "experiments",
        "id",
        *_some(TEXT, "id project_id name"),
        *_some(REAL, "created_at"),
        _unique("experiments", "project_id name"),
        _refers("experiments", "project_id", "projects.id"),
    )
    _index("experiments", "name created_at")
    _make("refs", "project_id ref", *_some(TEXT, "project_id ref commit"), sqlite_with_rowid=False)
    _make(
        "deliveries",
        "forge delivery_id",
        *_some(TEXT, "forge delivery_id"),
        *_some(REAL, "at"),
        sqlite_with_rowid=False,
    )
    _make("meta", "key", *_some(TEXT, "key value"), sqlite_with_rowid=False)
    _make("counters", "name", *_some(TEXT, "name"), *_some(WHOLE, "value"), sqlite_with_rowid=False)
    _make(
        "runs",
        "id",
        *_some(TEXT, "id project_id experiment_id name kind status actor pipeline_id stage_id stage job_id"),
        *_some(WHOLE, "fence"),
        *_some(TEXT, "command commit"),
        *_maybe(WHOLE, "exit_code"),
        *_maybe(TEXT, "failure"),
        *_some(TEXT, "reason recipe recipe_digest trajectory log"),
        *_some(WHOLE, "log_bytes"),
        *_some(TEXT, "replay_of superseded_by"),
        *_some(FLAG, "tainted"),
        *_maybe(TEXT, "usage"),
        *_some(REAL, "created_at"),
        *_maybe(REAL, "started_at ended_at"),
        _refers("runs", "experiment_id", "experiments.id"),
        _refers("runs", "project_id", "projects.id"),
    )
    _index(
        "runs",
        "created_at id",
        "experiment_id created_at id",
        "kind created_at id",
        "pipeline_id created_at id",
        "project_id created_at id",
        "project_id ended_at created_at id",
        "project_id name created_at id",
        "project_id started_at created_at id",
        "project_id status created_at id",
        "replay_of created_at id",
        "stage_id created_at id",
        "status created_at id",
    )
    _make(
        "run_words",
        "word run_id",
        *_some(TEXT, "word run_id"),
        _refers("run_words", "run_id", "runs.id"),
        sqlite_with_rowid=False,
    )
    _index("run_words", "run_id")
    _make("params", "run_id key", *_some(TEXT, "run_id key value"), sqlite_with_rowid=False)
    _make("tags", "run_id key", *_some(TEXT, "run_id key value"), sqlite_with_rowid=False)
    _make(
        "metric_series",
        "id",
        *_some(WHOLE, "id"),
        *_some(TEXT, "run_id key"),
        *_maybe(REAL, "last"),
        *_some(WHOLE, "last_step"),
        *_some(REAL, "last_at"),
        *_maybe(REAL, "first"),
        *_some(WHOLE, "first_step"),
        *_some(REAL, "first_at"),
        *_maybe(REAL, "min max"),
        *_some(WHOLE, "count"),
        _unique("metric_series", "run_id key"),
        _refers("metric_series", "run_id", "runs.id"),
    )
    _index("metric_series", "key last run_id")
    _make(
        "metric_points",
        "series_id step at value is_nan",
        *_some(WHOLE, "series_id step"),
        *_some(REAL, "at value"),
        *_some(WHOLE, "is_nan"),
        sqlite_with_rowid=False,
    )
    _make(
        "metric_batches",
        "run_id batch",
        *_some(TEXT, "run_id batch"),
        *_some(REAL, "at"),
        sqlite_with_rowid=False,
    )
    _make(
        "artifacts",
        "run_id path",
        *_some(TEXT, "run_id path manifest"),
        *_some(WHOLE, "size_bytes files"),
        *_some(TEXT, "kind"),
        sqlite_with_rowid=False,
    )
    _make(
        "inputs",
        "run_id path manifest",
        *_some(TEXT, "run_id path manifest origin source_run_id"),
        sqlite_with_rowid=False,
    )
    _index("inputs", "source_run_id")
    _make("log_chunks", "run_id start", *_some(TEXT, "run_id"), *_some(WHOLE, "start"), *_some(BYTES, "data"))
    _make(
        "verdicts",
        "id",
        *_some(TEXT, "id run_id"),
        *_some(REAL, "at"),
        *_some(TEXT, "body"),
        _refers("verdicts", "run_id", "runs.id"),
    )
    _index("verdicts", "run_id at id")
    _make(
        "pipelines",
        "id",
        *_some(TEXT, "id project_id"),
        *_some(WHOLE, "number"),
        *_some(TEXT, "commit ref trigger actor status title code environment"),
        *_maybe(TEXT, "spec"),
        *_some(TEXT, "error warnings rerun_of"),
        *_some(REAL, "created_at"),
        *_maybe(REAL, "started_at ended_at"),
        _unique("pipelines", "project_id number"),
        _refers("pipelines", "project_id", "projects.id"),
    )
    _index(
        "pipelines",
        "commit created_at id",
        "created_at id",
        "project_id created_at id",
        "status created_at id",
    )
    _make(
        "stages",
        "id",
        *_some(TEXT, "id pipeline_id key name action status planned"),
        *_some(WHOLE, "position"),
        *_some(TEXT, "cache_key cache_facts run_id job_id"),
        *_some(WHOLE, "attempts"),
        *_some(TEXT, "reason result"),
        *_maybe(REAL, "queued_at started_at ended_at"),
        _unique("stages", "pipeline_id key"),
        _refers("stages", "pipeline_id", "pipelines.id"),
    )
    _make(
        "stage_cache",
        "project_id cache_key scope",
        *_some(TEXT, "project_id cache_key scope run_id"),
        *_some(REAL, "created_at"),
        sqlite_with_rowid=False,
    )
    _make(
        "environments",
        "key",
        *_some(TEXT, "key lock_digest"),
        *_some(REAL, "created_at"),
        sqlite_with_rowid=False,
    )
    _make(
        "jobs",
        "seq",
        *_some(WHOLE, "seq"),
        *_some(TEXT, "id kind state pool subject project_id payload"),
        *_some(WHOLE, "priority"),
        *_some(REAL, "run_after"),
        *_some(WHOLE, "attempt max_attempts fence"),
        *_some(TEXT, "lease_owner"),
        *_some(REAL, "lease_until lease_s"),
        *_some(TEXT, "handle"),
        *_some(FLAG, "cancel_requested"),
        *_some(TEXT, "result error"),
        *_some(REAL, "created_at"),
        *_maybe(REAL, "started_at ended_at"),
        *_maybe(TEXT, "unique_key"),
        sa.Column("claimable_at", REAL, sa.Computed(CLAIMABLE_AT, persisted=True)),
        _unique("jobs", "id"),
        _unique("jobs", "unique_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "jobs_claimable",
        "jobs",
        [sa.text("priority DESC"), "seq", "claimable_at", "pool", "kind"],
        sqlite_where=sa.text("claimable_at IS NOT NULL"),
        postgresql_where=sa.text("claimable_at IS NOT NULL"),
    )
    _index("jobs", "state seq", "subject seq")
    _make(
        "locks",
        "name",
        *_some(TEXT, "name owner"),
        *_some(REAL, "lease_until lease_s"),
        sqlite_with_rowid=False,
    )
    _make("pools", "name", *_some(TEXT, "name executor config"), *_some(WHOLE, "slots"))
    _make(
        "models",
        "id",
        *_some(TEXT, "id project_id name"),
        *_some(REAL, "created_at"),
        *_some(WHOLE, "last_version"),
        _unique("models", "name"),
        _refers("models", "project_id", "projects.id"),
    )
    _index("models", "project_id name")
    _make(
        "model_versions",
        "id",
        *_some(TEXT, "id model_id model"),
        *_some(WHOLE, "version"),
        *_some(TEXT, "run_id manifest sha256 pipeline_id"),
        *_maybe(TEXT, "stage_id"),
        *_some(TEXT, "loader contract"),
        *_maybe(TEXT, "signature"),
        *_some(TEXT, "provenance status facts created_by"),
        *_some(REAL, "created_at"),
        _unique("model_versions", "model_id version"),
        _unique("model_versions", "stage_id"),
        _refers("model_versions", "model_id", "models.id"),
    )
    _index("model_versions", "run_id")
    _make(
        "aliases",
        "model alias",
        *_some(TEXT, "model alias"),
        *_some(WHOLE, "version"),
        *_maybe(WHOLE, "previous"),
        *_some(TEXT, "moved_by"),
        *_some(REAL, "moved_at"),
        _refers("aliases", "model", "models.name"),
        sqlite_with_rowid=False,
    )
    _make(
        "endpoints",
        "id",
        *_some(TEXT, "id project_id name model live previous"),
        *_some(REAL, "created_at"),
        *_some(WHOLE, "last_revision"),
        _unique("endpoints", "name"),
        _refers("endpoints", "project_id", "projects.id"),
    )
    _index("endpoints", "project_id name")
    _make(
        "revisions",
        "id",
        *_some(TEXT, "id endpoint_id"),
        *_some(WHOLE, "number"),
        *_some(TEXT, "version_id state job_id address"),
        *_maybe(TEXT, "stage_id"),
        *_some(WHOLE, "restarts"),
        *_some(TEXT, "error facts"),
        *_some(REAL, "created_at"),
        *_maybe(REAL, "ready_at"),
        _unique("revisions", "endpoint_id number"),
        _unique("revisions", "stage_id"),
        _refers("revisions", "endpoint_id", "endpoints.id", ondelete="CASCADE"),
        _refers("revisions", "version_id", "model_versions.id"),
    )
    _index("revisions", "state")
    _make(
        "events",
        "id",
        *_some(WHOLE, "id"),
        *_some(TEXT, "kind actor subject project facts"),
        *_some(REAL, "at"),
        sqlite_autoincrement=True,
    )
    _index("events", "kind id", "project id", "subject id")


def downgrade() -> None:
    """Drop every table."""
    for table in reversed(TABLES):
        op.drop_table(table)
