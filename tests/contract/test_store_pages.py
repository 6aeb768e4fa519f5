"""Pages of runs are right whichever way leads to them, and no way reads all runs."""

import math
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from relive.core.run import Metric, Run, RunStatus
from relive.stores.sql import run_pages
from relive.testing.stores_samples import ManualClock, a_project, a_run
from tests.contract.databases import BACKENDS, fresh_url, opened

STATUSES = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.RUNNING)
NAMES = ("brave otter", "calm otter", "odd wolf")
VALUES = st.none() | st.sampled_from([-1.0, 0.0, 1.0, math.nan, math.inf])
ROWS = st.tuples(
    st.sampled_from("pq"),
    st.sampled_from(NAMES),
    st.sampled_from(STATUSES),
    VALUES,
    st.none() | st.integers(0, 3),
)
ORDERS = ("created_at", "name", "status", "started_at", "ended_at", "metrics.acc", "metrics.none")
# Ways to a page: always by the filter, always by the order, and whichever is shorter.
LIMITS = (10**6, -1, 2)


@pytest.fixture(params=BACKENDS)
def filled(request, tmp_path):
    """Give a store with a few dozen runs of every sort, and what each is."""
    clock = ManualClock()
    with opened(fresh_url(request.param, request, tmp_path), clock) as store:
        rows: list[tuple[Run, float | None]] = []
        projects = {name: a_project(store, name) for name in "pq"}

        @settings(max_examples=60, deadline=None, database=None)
        @given(ROWS)
        def add(row):
            project, name, status, value, ended = row
            clock.advance(len(rows) % 2)  # some of the same moment
            run = a_run(
                store,
                project_id=projects[project].id,
                name=name,
                status=status,
                ended_at=None if ended is None else float(ended),
            )
            if value is not None:
                store.record_metrics(run.id, [Metric("acc", value)])
            rows.append((run, value))

        add()
        yield store, rows


def expected(rows: list[tuple[Run, float | None]], order: str) -> list[str]:
    """Sort as the store should: those with a value by it, the others after them, newest first."""
    name, descending = order.removeprefix("-"), order.startswith("-")

    def value_of(row: tuple[Run, float | None]) -> Any:
        run, metric = row
        value = metric if name == "metrics.acc" else getattr(run, name, None)
        return None if isinstance(value, float) and math.isnan(value) else value

    def key(row: tuple[Run, float | None]) -> tuple[Any, ...]:
        run = row[0]
        by_time = () if name.startswith("metrics.") else (run.created_at,)
        return (value_of(row), *by_time, run.id)

    having = sorted((row for row in rows if value_of(row) is not None), key=key, reverse=descending)
    missing = sorted(
        (row for row in rows if value_of(row) is None), key=lambda row: row[0].id, reverse=descending
    )
    missing.sort(key=lambda row: row[0].created_at, reverse=True)
    return [run.id for run, _ in having + missing]


@pytest.mark.parametrize("few", LIMITS)
def test_every_way_leads_to_the_same_page(filled, monkeypatch, few):
    monkeypatch.setattr(run_pages, "_FEW", few)
    store, rows = filled
    project = store.get_project("p")
    filters: list[tuple[dict[str, Any], Any]] = [
        ({}, lambda _run: True),
        ({"project_id": project.id}, lambda run: run.project_id == project.id),
        ({"status": "failed"}, lambda run: run.status is RunStatus.FAILED),
        ({"text": "OTT"}, lambda run: "otter" in run.name),
        (
            {"text": "otter brav", "project_id": project.id},
            lambda run: (run.name, run.project_id) == (NAMES[0], project.id),
        ),
    ]
    for narrow, fits in filters:
        fitting = [row for row in rows if fits(row[0])]
        for order in [sign + name for name in ORDERS for sign in ("", "-")]:
            whole = [run.id for run in store.list_runs(order=order, limit=10_000, **narrow)]
            assert whole == expected(fitting, order), (narrow, order)
            pages = [
                store.list_runs(order=order, limit=7, offset=at, **narrow) for at in range(0, len(whole), 7)
            ]
            assert [run.id for page in pages for run in page] == whole, (narrow, order)


INDEXED: list[tuple[str, Any]] = [
    ("newest", lambda store, ids: store.list_runs()),
    ("of a project", lambda store, ids: store.list_runs(project_id=ids["project"])),
    (
        "of a project by status",
        lambda store, ids: store.list_runs(project_id=ids["project"], status="failed"),
    ),
    ("of an experiment", lambda store, ids: store.list_runs(experiment_id=ids["experiment"])),
    ("of a pipeline", lambda store, ids: store.list_runs(pipeline_id="x")),
    ("of a stage", lambda store, ids: store.list_runs(stage_id="x")),
    ("repeats", lambda store, ids: store.list_runs(replay_of="x")),
    ("of a status", lambda store, ids: store.list_runs(status="failed")),
    ("of a kind", lambda store, ids: store.list_runs(kind="replay")),
    *(
        (
            f"by {order}",
            lambda store, ids, order=order: store.list_runs(project_id=ids["project"], order=order),
        )
        for order in ("name", "-name", "status", "-status", "-started_at", "ended_at")
    ),
    ("by a metric", lambda store, ids: store.list_runs(order="-metrics.acc")),
    ("short id", lambda store, ids: store.get_run(ids["run"][:8])),
    ("count", lambda store, ids: store.count_runs(project_id=ids["project"], status="failed")),
    ("series", lambda store, ids: store.get_series(ids["run"], "acc")),
    ("summaries", lambda store, ids: store.list_metrics([ids["run"]])),
    ("params", lambda store, ids: store.list_params([ids["run"]])),
    ("tags", lambda store, ids: store.list_tags([ids["run"]])),
    ("artifacts", lambda store, ids: store.list_artifacts(ids["run"])),
    ("consumers", lambda store, ids: store.list_consumers(ids["run"])),
    ("verdicts", lambda store, ids: store.list_verdicts(ids["run"])),
    ("log", lambda store, ids: store.read_log(ids["run"], start=5)),
    ("pipelines", lambda store, ids: store.list_pipelines(project_id=ids["project"])),
    ("all pipelines", lambda store, ids: store.list_pipelines()),
    ("pipelines of a commit", lambda store, ids: store.list_pipelines(commit="x")),
    ("a pipeline", lambda store, ids: store.find_pipeline(ids["project"], 1)),
    ("cached", lambda store, ids: store.find_cached(ids["project"], "x", scopes=("protected",))),
    ("jobs of a subject", lambda store, ids: store.list_jobs(subject="x")),
    ("jobs of a pool", lambda store, ids: store.list_jobs(pool="x")),
    ("jobs", lambda store, ids: store.list_jobs()),
    ("claim", lambda store, ids: store.claim("me", pools=["local"], kinds=["stage"], lease_s=1.0)),
    ("versions of a run", lambda store, ids: store.list_versions_of_run("x")),
    ("version", lambda store, ids: store.find_version_of_stage("x")),
    ("events", lambda store, ids: store.list_events(after=5)),
    ("events of a subject", lambda store, ids: store.list_events(subject="x", newest_first=True)),
    ("events of a project", lambda store, ids: store.list_events(project="x")),
    ("events of a kind", lambda store, ids: store.list_events(kind="x")),
    ("tokens", lambda store, ids: store.list_tokens("user:x")),
]


# Of these a run has a handful, which are sorted.
FEW_OF_EACH = {"verdicts", "versions of a run"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    with ExitStack() as stack:
        path = tmp_path_factory.mktemp("plans") / "relive.db"
        store = stack.enter_context(opened(f"sqlite:///{path}"))
        run = a_run(store)
        ids = {"project": run.project_id, "experiment": run.experiment_id, "run": run.id}
        yield store, ids


@pytest.mark.parametrize(("what", "call"), INDEXED, ids=[what for what, _ in INDEXED])
def test_a_list_is_served_by_an_index(planned, what, call):
    store, ids = planned
    queries: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        queries.append((statement, parameters))

    event.listen(store._db.engine, "before_cursor_execute", note)
    try:
        call(store, ids)
    finally:
        event.remove(store._db.engine, "before_cursor_execute", note)
    steps = []
    with store._db.read() as connection:
        for statement, parameters in queries:
            if statement.startswith(("SELECT", "UPDATE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps += [row.detail for row in plan]
    assert steps
    # Walking a table by its number, newest first, ends with the page; any other walk ends with the table.
    by_number = {"SCAN jobs", "SCAN events"}
    walks = [it for it in steps if it.startswith("SCAN") and "INDEX" not in it and it not in by_number]
    assert not walks, steps
    sorts = [it for it in steps if "TEMP B-TREE FOR ORDER BY" in it]
    assert not sorts or what in FEW_OF_EACH, steps
