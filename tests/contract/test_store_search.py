"""Search gives what a plain reading of the language gives, whichever way leads to the page.

A few dozen random runs are searched with random conditions and orders; what should be found is worked out
here in Python, from the runs alone.
"""

import math
import random
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from relive.core.run import Metric, Run, RunStatus
from relive.core.search import And, Comparison, Condition, Field, Not, Or, Order, Side
from relive.core.search_grammars import OWN_RUNS
from relive.core.search_parser import parse_filter, parse_orders
from relive.ports.search import Search
from relive.stores.sql import search as sql_search
from relive.stores.sql.store import SqlStore
from relive.testing.stores_samples import START, a_project, a_run
from tests.contract.databases import BACKENDS, fresh_url, opened

N_RUNS = 60
# Ways to a page: always through the filter, always through the order, whichever is shorter.
LIMITS = (10**6, -1, 10)
KEYS = ("a", "b c", "none")
TEXTS = ("", "a", "ab", "a b", "A_", "50%", "x*[y]", "été", 'qu"ote', "back\\slash", "z" * 300)
LONGER = ("z" * 300 + "a", "z" * 300 + "\n", "z" * 199 + '"\\', "\\u0000", "a\tb", "é" * 250)
PATTERNS = ("%", "", "a%", "A%", "_b", "%b%", "a_b", "5_\\%", "50%", "x*[y]", "É%", "%\\%", "z%", '%"%')
NUMBERS = (-1.0, 0.0, 0.5, 1.0, 1e300, math.inf, -math.inf)


@dataclass
class Known:
    """A run, and what it recorded."""

    run: Run
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def make_run(store: SqlStore, experiments: list[str], dice: random.Random) -> Known:
    """Keep a random run."""
    begun = START + dice.choice([0, 0.5, 1, 2, 3])
    run = a_run(
        store,
        experiment_id=dice.choice(experiments),
        name=dice.choice(TEXTS) or "n",
        actor=dice.choice(["ann", "bob"]),
        status=dice.choice(list(RunStatus)),
        started_at=dice.choice([None, begun]),
        ended_at=dice.choice([None, begun + 5, begun + 6]),
    )
    known = Known(run)
    for key in KEYS[:2]:
        if dice.random() < 0.7:
            known.metrics[key] = dice.choice([*NUMBERS, math.nan])
        if dice.random() < 0.7:
            known.params[key] = dice.choice([*TEXTS, *LONGER, 0.5, True, None, 7])
        if dice.random() < 0.7:
            known.tags[key] = dice.choice(TEXTS + LONGER)
    store.record_metrics(run.id, [Metric(key, value) for key, value in known.metrics.items()])
    store.record_params(run.id, known.params)
    store.set_tags(run.id, known.tags)
    return known


@pytest.fixture(scope="module", params=BACKENDS)
def filled(request, tmp_path_factory):
    """Give a store with random runs in three experiments, and what each is."""
    with opened(fresh_url(request.param, request, tmp_path_factory.mktemp("search"))) as store:
        project = a_project(store)
        experiments = [store.ensure_experiment(project.id, name).id for name in ("one", "two", "three")]
        dice = random.Random(5)
        yield store, [make_run(store, experiments, dice) for _ in range(N_RUNS)], experiments


# --- what should be found --------------------------------------------------------------------------------


def value_of(known: Known, its: Field) -> Any:
    """Give what a field of a run is; None if the run lacks it."""
    if its.side is Side.METRIC:
        return known.metrics.get(its.key)
    if its.side is Side.TAG:
        return known.tags.get(its.key)
    if its.side is Side.PARAM:
        value = known.params.get(its.key, ...)
        plain = {True: "true", None: "null"}
        return None if value is ... else value if isinstance(value, str) else plain.get(value, str(value))
    run = known.run
    attributes = {
        "name": run.name,
        "actor": run.actor,
        "state": run.status.value,
        "start_time": run.created_at if run.started_at is None else run.started_at,
        "ended_at": run.ended_at,
        "id": run.id,
    }
    return attributes[its.key]


def is_like(text: str, pattern: str, *, folded: bool) -> bool:
    """Match as LIKE does; of letters without their case only ASCII's are the same."""
    wanted = "".join(".*" if it == "%" else "." if it == "_" else re.escape(it) for it in pattern)
    return re.fullmatch(wanted, text, re.DOTALL | (re.IGNORECASE | re.ASCII if folded else 0)) is not None


def fits(known: Known, condition: Condition) -> bool:
    """Tell whether a run fits."""
    match condition:
        case And(parts=parts):
            return all(fits(known, part) for part in parts)
        case Or(parts=parts):
            return any(fits(known, part) for part in parts)
        case Not(part=part):
            return not fits(known, part)
        case Comparison(field=its, comparator=comparator, value=wanted):
            value = value_of(known, its)
            if comparator in ("IS NULL", "IS NOT NULL"):
                return (value is None) is (comparator == "IS NULL")
            if its.key == "state":  # has a name of ours, and one of MLflow's, which knows no LOST
                foreign = "FAILED" if value == "lost" else value.upper()
                return compares(value, comparator, wanted) or compares(foreign, comparator, wanted)
            return value is not None and compares(value, comparator, wanted)
    raise AssertionError(condition)


def compares(value: Any, comparator: str, wanted: Any) -> bool:
    """Compare as the language says."""
    ways: dict[str, Callable[[], Any]] = {
        "=": lambda: value == wanted,
        "!=": lambda: value != wanted,
        "<": lambda: value < wanted,
        "<=": lambda: value <= wanted,
        ">": lambda: value > wanted,
        ">=": lambda: value >= wanted,
        "IN": lambda: value in wanted,
        "NOT IN": lambda: value not in wanted,
        "LIKE": lambda: is_like(value, wanted, folded=False),
        "ILIKE": lambda: is_like(value, wanted, folded=True),
    }
    return bool(ways[comparator]())


def in_order(runs: list[Known], orders: list[Order]) -> list[str]:
    """Give the ids of runs as they should stand."""
    found = sorted(runs, key=lambda it: it.run.id)
    for order in reversed(orders):

        def rank(known: Known, order: Order = order) -> int:
            value = value_of(known, order.field)
            return 2 if value is None else 1 if isinstance(value, float) and math.isnan(value) else 0

        def key(known: Known, order: Order = order) -> Any:
            return value_of(known, order.field)

        # sorted() keeps equals in their order, reversed too.
        valued = sorted((it for it in found if rank(it) == 0), key=key, reverse=not order.ascending)
        found = valued + sorted((it for it in found if rank(it)), key=rank)
    return [it.run.id for it in found]


# --- random searches -------------------------------------------------------------------------------------


def compared(side: Side, keys: Any, comparators: str, values: Any) -> st.SearchStrategy[Condition]:
    fields = st.builds(Field, st.just(side), st.sampled_from(keys))
    return st.builds(Comparison, fields, st.sampled_from(comparators.split()), st.sampled_from(values))


PAIRS = [
    condition
    for side in (Side.PARAM, Side.TAG)
    for condition in (
        compared(side, KEYS, "= !=", (*TEXTS, *LONGER, "0.5", "true", "7")),
        compared(side, KEYS, "LIKE ILIKE", PATTERNS),
        st.builds(
            Comparison,
            st.builds(Field, st.just(side), st.sampled_from(KEYS)),
            st.sampled_from(["IS NULL", "IS NOT NULL"]),
            st.none(),
        ),
    )
]
LEAVES = st.one_of(
    compared(Side.METRIC, KEYS, "< <= > >= = !=", NUMBERS),
    *PAIRS,
    compared(Side.ATTRIBUTE, ["name", "actor"], "= !=", TEXTS),
    compared(Side.ATTRIBUTE, ["name", "state"], "LIKE ILIKE", (*PATTERNS, "F%", "%ed")),
    compared(Side.ATTRIBUTE, ["name", "state"], "IN", [("a", "finished"), ("50%",)]),
    compared(Side.ATTRIBUTE, ["name", "state"], r"=", ["lost", "a"]),
    compared(Side.ATTRIBUTE, ["ended_at"], "< <= > >= = !=", [START + 5, START + 6.5]),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
FIELDS = st.one_of(
    st.builds(
        Field, st.just(Side.ATTRIBUTE), st.sampled_from(["name", "actor", "state", "start_time", "ended_at"])
    ),
    st.builds(Field, st.sampled_from([Side.METRIC, Side.PARAM, Side.TAG]), st.sampled_from(KEYS)),
)
ORDERS = st.lists(st.builds(Order, FIELDS, st.booleans()), max_size=3, unique_by=lambda order: order.field)


@pytest.mark.parametrize("few", LIMITS)
def test_every_way_leads_to_what_fits(filled, monkeypatch, few):
    monkeypatch.setattr(sql_search, "FEW", few)
    store, runs, experiments = filled

    @settings(max_examples=100, deadline=None, database=None, phases=[Phase.generate])
    @given(st.none() | CONDITIONS, ORDERS, st.sampled_from([None, (0,), (0, 2)]), st.sampled_from([7, 1000]))
    def search(condition, orders, where, limit):
        ids = None if where is None else tuple(experiments[at] for at in where)
        scope = [it for it in runs if ids is None or it.run.experiment_id in ids]
        expected = in_order([it for it in scope if condition is None or fits(it, condition)], orders)
        found: list[str] = []
        after = ""
        while True:
            asked = Search(
                condition=condition, orders=tuple(orders), experiment_ids=ids, limit=limit, after=after
            )
            page = store.search_runs(asked)
            found += [run.id for run in page.runs]
            after = page.next
            if not after:
                break
            assert len(page.runs) == limit
        assert found == expected

    search()


# --- plans -----------------------------------------------------------------------------------------------

INDEXED = [
    ("newest begun", "", "start_time DESC"),
    ("newest made", "", "created_at DESC"),
    ("a param", "params.a = 'x'", "start_time DESC"),
    ("a prefix", "tags.a LIKE 'x%'", "start_time DESC"),
    ("a metric", "metrics.a > 1", "start_time DESC"),
    ("by a metric", "tags.a = 'x'", "metrics.a DESC, start_time DESC"),
    ("by a param", "tags.a = 'x'", "params.a DESC, start_time DESC"),
    ("by a tag", "params.a = 'x'", "tags.a, start_time DESC"),
    ("any of two", "params.a = 'x' OR params.b = 'y'", "start_time DESC"),
    ("a status", "status = 'running'", "start_time DESC"),
    ("since", "start_time > 5", "start_time DESC"),
]


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    with ExitStack() as stack:
        path = tmp_path_factory.mktemp("plans") / "relive.db"
        store = stack.enter_context(opened(f"sqlite:///{path}"))
        yield store, a_run(store)


@pytest.mark.parametrize("few", LIMITS[:2], ids=["through the filter", "through the order"])
@pytest.mark.parametrize(("what", "text", "order"), INDEXED, ids=[it[0] for it in INDEXED])
@pytest.mark.parametrize("n_experiments", [1, 3, 0])
def test_no_way_walks_a_table(planned, monkeypatch, what, text, order, n_experiments, few):
    monkeypatch.setattr(sql_search, "FEW", few)
    store, run = planned
    orders = parse_orders(order.split(", "), OWN_RUNS)
    ids = (run.experiment_id, "x", "y")[:n_experiments] or None
    steps: list[str] = []
    queries: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        queries.append((statement, parameters))

    event.listen(store._db.engine, "before_cursor_execute", note)
    try:
        store.search_runs(
            Search(condition=parse_filter(text, OWN_RUNS), orders=orders, experiment_ids=ids, limit=10)
        )
    finally:
        event.remove(store._db.engine, "before_cursor_execute", note)
    with store._db.read() as connection:
        for statement, parameters in queries:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps += [row.detail for row in plan]
    walks = [it for it in steps if re.match(r"SCAN (?!CONSTANT|anon_|LIST)", it) and "INDEX" not in it]
    assert steps
    assert not walks, steps


@pytest.mark.parametrize(
    "order",
    ["start_time DESC", *(f"{by}, start_time DESC" for by in ("metrics.a DESC", "params.a", "tags.a DESC"))],
)
def test_a_page_in_the_order_of_an_index_sorts_nothing_but_equals(planned, monkeypatch, order):
    monkeypatch.setattr(sql_search, "FEW", -1)
    store, run = planned
    queries: list[tuple[str, Any]] = []
    listen = lambda *given: queries.append((given[2], given[3]))  # noqa: E731
    event.listen(store._db.engine, "before_cursor_execute", listen)
    try:
        orders = parse_orders(order.split(", "), OWN_RUNS)
        store.search_runs(Search(orders=orders, experiment_ids=(run.experiment_id,), limit=1))
    finally:
        event.remove(store._db.engine, "before_cursor_execute", listen)
    with store._db.read() as connection:
        statement, parameters = next(it for it in queries if "ORDER BY" in it[0])
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        assert not [row.detail for row in plan if row.detail == "USE TEMP B-TREE FOR ORDER BY"]
