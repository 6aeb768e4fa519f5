"""Tables of traces: requests to applications, their spans, and what was said of them."""

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Table, func
from sqlalchemy import text as sql

from relive.core.trace import AssessmentKind, TraceState
from relive.stores.sql.columns import FLOAT, OptionalWords
from relive.stores.sql.shown import INDEXED_LETTERS
from relive.stores.sql.tables.base import (
    choice,
    flag,
    json,
    key,
    name,
    partial_on_postgres,
    real,
    table,
    text,
    whole,
)


def _maybe(called: str) -> Column[str]:
    """Make a column of text of any length; the empty one is absent, so that no comparison fits it."""
    return Column(called, OptionalWords(called, None), nullable=True)


def _pairs(called: str) -> Table:
    """Make a table of keys and values, which go with their trace."""
    return table(called, key("trace_id"), key("key"), text("value"), _its_trace(), rowid=False)


def _its_trace() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["trace_id"], ["traces.id"], ondelete="CASCADE")


traces = table(
    "traces",
    key(),
    name("experiment_id", ForeignKey("experiments.id")),
    whole("started_ms"),
    whole("duration_ms", nullable=True),
    choice("state", TraceState),
    _maybe("client_request_id"),
    _maybe("request_preview"),
    _maybe("response_preview"),
    text("created_by"),
)
# The order in which they are shown.
Index("traces_experiment_id_newest", traces.c.experiment_id, traces.c.started_ms.desc(), traces.c.id)
trace_tags = _pairs("trace_tags")
trace_metadata = _pairs("trace_metadata")
# All traces of a session, of a run, of a name.
for _table in (trace_tags, trace_metadata):
    _begin = func.substr(_table.c.value, 1, INDEXED_LETTERS)
    Index(f"{_table.name}_key_begin", _table.c.key, _begin, _table.c.trace_id)
# Tokens and money as numbers; what a client reads of them is metadata.
trace_numbers = table(
    "trace_numbers",
    key("trace_id"),
    key("key"),
    Column("value", FLOAT, nullable=False),
    _its_trace(),
    rowid=False,
)
spans = table(
    "spans",
    key("trace_id"),
    key("id"),
    name("parent_id"),
    text("name"),
    text("type"),
    text("status"),
    whole("started_ns"),
    whole("ended_ns", nullable=True),
    text("content"),
    json("usage", dict[str, float]),
    json("cost", dict[str, float]),
    text("model"),
    text("provider"),
    _its_trace(),
)
assessments = table(
    "assessments",
    key(),
    name("trace_id"),
    text("name"),
    choice("kind", AssessmentKind),
    text("value"),
    real("number", nullable=True),
    flag("is_numeric"),
    json("error", dict[str, str]),
    text("source_type"),
    text("source_id"),
    text("source_run_id"),
    text("span_id"),
    text("rationale"),
    json("metadata", dict[str, str]),
    text("overrides"),
    flag("is_valid"),
    whole("created_ms"),
    whole("updated_ms"),
    _its_trace(),
    Index(None, "trace_id"),
)
# All traces that show an issue, whose id is the name of what was said of them. No id is longer, and a longer
# name has no room in PostgreSQL's index.
SHOWS_ISSUE = sql(f"assessments.kind = '{AssessmentKind.ISSUE}' AND length(assessments.name) <= 64")
_SHOWS_ISSUE = sql(f"kind = '{AssessmentKind.ISSUE}' AND length(name) <= 64")
_shows_issue = Index(
    "assessments_issue", assessments.c.name, assessments.c.trace_id, sqlite_where=_SHOWS_ISSUE
)
partial_on_postgres(assessments, _shows_issue, _SHOWS_ISSUE)
run_traces = table(
    "run_traces",
    key("run_id"),
    key("trace_id"),
    ForeignKeyConstraint(["run_id"], ["runs.id"]),
    _its_trace(),
    Index(None, "trace_id"),
    rowid=False,
)
# `prompt` is NAME/VERSION.
trace_prompts = table(
    "trace_prompts", key("prompt"), key("trace_id"), _its_trace(), Index(None, "trace_id"), rowid=False
)
