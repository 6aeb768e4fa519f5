"""Points in chunks: however they are recorded, packed and killed meanwhile, a series is a set of points."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from relive.core.run import Metric, RunStatus
from relive.core.series import Points
from relive.stores.sql import chunks, incoming, packing
from relive.stores.sql.store import SqlStore
from relive.stores.sql.tables.runs import metric_chunks, metric_points, metric_series, metric_tails
from relive.testing.stores_samples import a_run
from tests.contract.databases import BACKENDS, empty, fresh_url, opened

MOST = 8
STEPS = st.integers(0, 30) | st.sampled_from([-(2**63), 2**63 - 1])
TIMES = st.sampled_from([0.0, 1.0, 1.8e9])
VALUES = st.sampled_from([0.0, -0.0, 1.0, 0.1 + 0.2, math.nan, math.inf, -math.inf]) | st.floats()
POINTS = st.lists(st.tuples(st.sampled_from("ab"), STEPS, TIMES, VALUES), max_size=3 * MOST)
# What comes in order is a chunk at once if it is long and nothing lies behind its beginning.
IN_ORDER = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), TIMES, VALUES), max_size=3 * MOST
).map(
    lambda points: [
        (key, 30 + sum(it[1] for it in points[: number + 1]), at, value)
        for number, (key, _, at, value) in enumerate(points)
    ]
)
# Points to record, or one of: pack once, pack all, be killed while packing, end the run, take it up again.
PACK, PACK_ALL, DIE, END, GO_ON = "pack", "pack all", "die", "end", "go on"
ACTS = st.lists(POINTS | IN_ORDER | st.sampled_from([PACK, PACK_ALL, DIE, END, GO_ON]), max_size=12)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module", params=BACKENDS)
def store(request, tmp_path_factory) -> Iterator[SqlStore]:
    """Give a store that cuts small, so that few points are many chunks."""
    url = fresh_url(request.param, request, tmp_path_factory.mktemp("chunks"))
    with pytest.MonkeyPatch.context() as patch:
        small = (
            (chunks, "MOST", MOST),
            (packing, "LONG", 6),
            (packing, "WORTH_IT", 2),
            (incoming, "MANY", 4),
        )
        for module, name, value in small:
            patch.setattr(module, name, value)
        with opened(url) as store:
            if request.param == "postgresql":
                empty(url)
            yield store


class Model:
    """A series as a set of points."""

    def __init__(self) -> None:
        self.places: dict[str, set[tuple[int, float, bool, float]]] = {}

    def add(self, key: str, step: int, at: float, value: float) -> None:
        """Add a point, or not if it is there."""
        is_number = not math.isnan(value)
        place = (step, at, is_number, value + 0.0 if is_number else 0.0)
        self.places.setdefault(key, set()).add(place)

    def rows(self, key: str) -> list[tuple[int, float, bytes]]:
        """Give the series in its order, values as bits."""
        found = sorted(self.places.get(key, ()))
        return [(step, at, bits(value if is_number else math.nan)) for step, at, is_number, value in found]


def bits(value: float) -> bytes:
    """Give a float's bits, with one NaN."""
    return struct.pack("<d", math.nan if math.isnan(value) else value)


def rows(points: Points) -> list[tuple[int, float, bytes]]:
    """Give points as the model does."""
    return [
        (step, at, bits(value))
        for step, at, value in zip(points.steps, points.times, points.values, strict=True)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=ACTS)
def test_a_series_is_a_set_of_points_however_it_is_packed(store, acts):
    run, model = a_run(store), Model()
    for act in [*acts, END, PACK_ALL]:
        if isinstance(act, list):
            for point in act:
                model.add(*point)
            store.record_metrics(run.id, [Metric(key, value, step, at) for key, step, at, value in act])
        else:
            do(store, run.id, act)
        for key in "ab":
            assert rows(store.get_points(run.id, key)) == model.rows(key)
        counts = {summary.key: summary.count for summary in store.list_metrics([run.id])}
        assert counts == {key: len(places) for key, places in model.places.items()}
    assert_packed(store, run.id, model)


def do(store: SqlStore, run_id: str, act: str) -> None:
    """Do something that changes no point."""
    if act == PACK:
        store.pack_metrics()
    elif act == PACK_ALL:
        while store.pack_metrics():
            pass
    elif act == DIE:
        with dying(), suppress(Killed):
            store.pack_metrics()
    else:
        store.set_run(run_id, status=RunStatus.FINISHED if act == END else RunStatus.RUNNING)


@contextmanager
def dying() -> Iterator[None]:
    """Let whoever packs die with the chunk written and the rows still there."""

    def die(*_args: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_count_packed", die)
        yield


def assert_packed(store: SqlStore, run_id: str, model: Model) -> None:
    """Nothing waits, no chunks overlap, and each page of a series is that part of it."""
    with store._db.read() as connection:
        assert connection.execute(select(metric_tails.c.run_id)).all() == []
        left = select(func.count()).select_from(metric_points).group_by(metric_points.c.series_id)
        assert max(connection.execute(left).scalars(), default=0) < packing.WORTH_IT
        assert max(connection.execute(select(metric_chunks.c["count"])).scalars(), default=0) <= MOST
    for key in "ab":
        whole = model.rows(key)
        for start, limit in ((0, 5), (3, 9), (len(whole), 4), (MOST, 2 * MOST)):
            page = store.page_points(run_id, key, start=start, limit=limit)
            assert rows(page) == whole[start : start + limit]
        if len(whole) > 4:
            fewer = rows(store.get_points(run_id, key, max_points=4))
            assert set(fewer) <= set(whole)
            assert (fewer[0], fewer[-1]) == (whole[0], whole[-1])


def test_rows_that_were_packed_take_no_room_twice(store):
    run = a_run(store)
    points = [Metric("x", float(step), step) for step in range(100)]
    store.record_metrics(run.id, points)
    store.set_run(run.id, status=RunStatus.FINISHED)
    do(store, run.id, PACK_ALL)
    store.record_metrics(run.id, points[20:60])
    with store._db.read() as connection:
        rows = select(func.count()).select_from(metric_points)
        rows = rows.join(metric_series, metric_series.c.id == metric_points.c.series_id)
        assert connection.execute(rows.where(metric_series.c.run_id == run.id)).scalar_one() == 0
        own = select(func.sum(metric_chunks.c["count"])).join(
            metric_series, metric_series.c.id == metric_chunks.c.series_id
        )
        assert connection.execute(own.where(metric_series.c.run_id == run.id)).scalar_one() == 100
