"""What every store promises of metrics: every point is kept, exactly, and each series has its summary."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relive.core.run import Metric, MetricBlock, MetricSummary, RunRecords
from relive.errors import InvalidInput
from relive.ports.stores import Store
from relive.testing.stores_samples import a_run

# Both databases hold 64 bits.
STEPS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
VALUES = st.floats() | st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf])
TIMES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0])
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9)
POINTS = st.lists(st.builds(Metric, st.sampled_from("ab") | KEYS, VALUES, STEPS, TIMES), max_size=12)
BATCHES = st.lists(POINTS, max_size=4)

NAN = math.nan


def place(point: Metric) -> tuple[int, float, bool, float]:
    """Give what a series is ordered by: step, time, value, with NaN before every number."""
    is_number = not math.isnan(point.value)
    return point.step, point.at, is_number, point.value if is_number else 0.0


def exactly(value: float) -> bytes:
    """Give a float's bits, with one NaN and one zero."""
    return struct.pack("<d", NAN if math.isnan(value) else value + 0.0)


def a_block(series: dict[str, list[tuple[int, float, float]]]) -> MetricBlock:
    """Give points as columns; all series have the steps and times of the first."""
    rows = next(iter(series.values()))

    def column(layout: str, at: int, rows: list[tuple[int, float, float]]) -> bytes:
        return struct.pack(f"<{len(rows)}{layout}", *(row[at] for row in rows))

    values = tuple(column("d", 2, some) for some in series.values())
    return MetricBlock(tuple(series), column("q", 0, rows), column("d", 1, rows), values)


class MetricContract:
    """Promises of `RunStore` about metrics."""

    # The database is the same for all examples; each has a run of its own.
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batches=BATCHES)
    def test_any_points_in_any_order_come_back_as_one_series(
        self, store: Store, batches: list[list[Metric]]
    ) -> None:
        run = a_run(store)
        for batch in batches:
            store.record_metrics(run.id, batch)
        expected: dict[str, dict[Any, Metric]] = {}
        for point in (point for batch in batches for point in batch):
            expected.setdefault(point.key, {})[place(point)] = point
        for key, points in expected.items():
            _assert_same(store.get_series(run.id, key), [points[at] for at in sorted(points)])
        summaries = {summary.key: summary for summary in store.list_metrics([run.id])}
        assert summaries.keys() == expected.keys()
        for key, points in expected.items():
            _assert_summary(summaries[key], list(points.values()))

    @pytest.mark.parametrize("value", [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e22])
    def test_a_float_is_kept_exactly(self, store: Store, value: float) -> None:
        run = a_run(store)
        store.record_metrics(run.id, [Metric("x", value)])
        assert store.get_series(run.id, "x")[0].value.hex() == value.hex()
        assert store.list_metrics([run.id])[0].last.hex() == value.hex()

    def test_nan_is_kept_and_is_no_extreme(self, store: Store) -> None:
        run = a_run(store)
        store.record_metrics(run.id, [Metric("x", NAN, 0), Metric("x", 0.0, 1), Metric("x", NAN, 2)])
        assert [math.isnan(point.value) for point in store.get_series(run.id, "x")] == [True, False, True]
        summary = store.list_metrics([run.id])[0]
        assert (summary.min, summary.max, summary.count) == (0.0, 0.0, 3)
        assert math.isnan(summary.first)
        assert math.isnan(summary.last)
        store.record_metrics(run.id, [Metric("y", NAN)])
        assert math.isnan(store.list_metrics([run.id])[1].max)

    def test_the_last_value_is_that_of_the_greatest_step_whenever_it_came(self, store: Store) -> None:
        run = a_run(store)
        store.record_metrics(run.id, [Metric("x", 5.0, 10, 1.0)])
        store.record_metrics(run.id, [Metric("x", 7.0, 3, 9.0), Metric("x", 6.0, 10, 0.5)])
        summary = store.list_metrics([run.id])[0]
        assert summary == MetricSummary(
            run_id=run.id, key="x", last=5.0, last_step=10, min=5.0, max=7.0, first=7.0, count=3, at=1.0
        )

    def test_points_of_one_step_are_all_kept(self, store: Store) -> None:
        run = a_run(store)
        store.record_metrics(run.id, [Metric("x", value, 0, 1.0) for value in (3.0, 1.0, 2.0)])
        assert [point.value for point in store.get_series(run.id, "x")] == [1.0, 2.0, 3.0]
        assert store.list_metrics([run.id])[0].last == 3.0

    def test_a_batch_counts_once(self, store: Store) -> None:
        run, other = a_run(store), a_run(store)
        store.record_metrics(run.id, [Metric("x", 1.0, 0)], batch="b1")
        store.record_metrics(run.id, [Metric("x", 2.0, 1)], batch="b1")
        store.record_metrics(other.id, [Metric("x", 3.0, 0)], batch="b1")
        assert [point.value for point in store.get_series(run.id, "x")] == [1.0]
        assert [point.value for point in store.get_series(other.id, "x")] == [3.0]

    def test_points_sent_again_without_a_batch_are_the_same_points(self, store: Store) -> None:
        run = a_run(store)
        points = [Metric("x", float(step), step, float(step)) for step in range(5)]
        store.record_metrics(run.id, points)
        store.record_metrics(run.id, [*points[3:], Metric("x", 9.0, 9, 9.0), Metric("y", 1.0)])
        store.record_metrics(run.id, points[:1] * 3)
        assert len(store.get_series(run.id, "x")) == 6
        assert [summary.count for summary in store.list_metrics([run.id])] == [6, 1]

    def test_summaries_of_many_runs_come_at_once(self, store: Store) -> None:
        runs = [a_run(store) for _ in range(3)]
        for run in runs[:2]:
            store.record_metrics(run.id, [Metric("b", 1.0), Metric("a", 2.0)])
        found = {(it.run_id, it.key) for it in store.list_metrics([run.id for run in runs] * 700)}
        assert found == {(run.id, key) for run in runs[:2] for key in "ab"}
        assert store.list_metrics([]) == []

    @pytest.mark.parametrize("n_points", [0, 1, 100, 3000, 20_000])
    def test_points_as_columns_are_the_same_points(self, store: Store, n_points: int) -> None:
        run, other = a_run(store), a_run(store)
        rows = [(step, 1.8e9 + step / 7, math.sin(step)) for step in range(n_points)]
        block = a_block({"x": rows, "y": [(step, at, -value) for step, at, value in rows]})
        store.record_batch(run.id, RunRecords(blocks=[block]), batch="b")
        store.record_batch(run.id, RunRecords(blocks=[block]), batch="b")
        store.record_metrics(other.id, [Metric("x", value, step, at) for step, at, value in rows])
        assert store.get_points(run.id, "x") == store.get_points(other.id, "x")
        assert list(store.get_points(run.id, "y").values) == [-value for _, _, value in rows]
        assert [it.count for it in store.list_metrics([run.id])] == [n_points] * (2 if n_points else 0)
        store.record_batch(run.id, RunRecords(blocks=[block, a_block({"x": [(-1, 0.0, 5.0)]})]))
        assert len(store.get_points(run.id, "x")) == n_points + 1

    def test_columns_that_come_late_or_in_no_order_find_their_places(self, store: Store) -> None:
        run, rows = a_run(store), [(step % 900, float(step), step / 3) for step in range(1800)]
        for some in (rows[900:], rows[300:1200], rows[::-1]):
            store.record_batch(run.id, RunRecords(blocks=[a_block({"x": some})]))
        points = store.get_points(run.id, "x")
        assert list(zip(points.steps, points.times, points.values, strict=True)) == sorted(rows)
        assert [it.count for it in store.list_metrics([run.id])] == [1800]

    def test_columns_have_one_zero_and_one_nan(self, store: Store) -> None:
        run = a_run(store)
        other_nan = struct.unpack("<d", b"\x01\0\0\0\0\0\xf8\xff")[0]
        values = [-0.0, other_nan, math.inf, -math.inf] * 300
        rows = [(step, -0.0 if step == 7 else 1.0, value) for step, value in enumerate(values)]
        store.record_batch(run.id, RunRecords(blocks=[a_block({"x": rows})]))
        points = store.get_points(run.id, "x")
        assert {struct.pack("<d", value) for value in points.values} == {
            struct.pack("<d", value) for value in (0.0, NAN, math.inf, -math.inf)
        }
        assert math.copysign(1, points.times[7]) == 1
        summary = store.list_metrics([run.id])[0]
        assert (summary.min, summary.max, summary.count) == (-math.inf, math.inf, 1200)

    @pytest.mark.parametrize("n_points", [2, 1000])
    def test_columns_that_cannot_be_kept_are_refused_whole(self, store: Store, n_points: int) -> None:
        run, rows = a_run(store), [(step, float(step), 1.0) for step in range(n_points)]
        good = a_block({"x": rows})
        bad = [
            a_block({"x": [*rows, (n_points, math.inf, 1.0)]}),
            a_block({"x": [*rows, (n_points, NAN, 1.0)]}),
            a_block({"k" * 2001: rows}),
            a_block({"a\0b": rows}),
            msgspec.structs.replace(good, keys=("x", "y")),
            msgspec.structs.replace(good, steps=good.steps[:-1]),
            msgspec.structs.replace(good, times=good.times[:-8]),
        ]
        for block in bad:
            with pytest.raises(InvalidInput):
                store.record_batch(run.id, RunRecords(metrics=[Metric("good", 1.0)], blocks=[block]))
        assert store.list_metrics([run.id]) == []

    def test_thousands_of_keys_in_one_batch(self, store: Store) -> None:
        run = a_run(store)
        points = [Metric(f"k{number:04}", float(number)) for number in range(2500)]
        store.record_metrics(run.id, points)
        store.record_metrics(run.id, [Metric(point.key, -1.0, 1) for point in points])
        summaries = store.list_metrics([run.id])
        assert [summary.first for summary in summaries] == [float(number) for number in range(2500)]
        assert {summary.count for summary in summaries} == {2}

    def test_an_unknown_series_is_empty(self, store: Store) -> None:
        assert store.get_series(a_run(store).id, "x") == []

    def test_a_long_series_is_reduced_to_what_shows(self, store: Store) -> None:
        run = a_run(store)
        values = [math.sin(step / 50) for step in range(3000)]
        values[1234], values[2345] = 99.0, -99.0
        store.record_metrics(run.id, [Metric("x", value, step) for step, value in enumerate(values)])
        reduced = store.get_series(run.id, "x", max_points=100)
        assert 50 <= len(reduced) <= 100
        assert [reduced[0].step, reduced[-1].step] == [0, 2999]
        assert {1234, 2345} <= {point.step for point in reduced}
        assert [point.step for point in reduced] == sorted({point.step for point in reduced})
        assert len(store.get_series(run.id, "x", max_points=3000)) == 3000

    @pytest.mark.parametrize("max_points", [-1, 0, 3])
    def test_too_few_points_are_refused(self, store: Store, max_points: int) -> None:
        with pytest.raises(InvalidInput, match="max_points"):
            store.get_series(a_run(store).id, "x", max_points=max_points)

    @pytest.mark.parametrize(
        "metric",
        [
            Metric("", 1.0),
            Metric("a\0b", 1.0),
            Metric("\ud800", 1.0),
            Metric("k" * 2001, 1.0),
            Metric("x", 1.0, 2**63),
            Metric("x", 1.0, 0, NAN),
            Metric("x", 1.0, 0, math.inf),
            Metric("x", 10**400),
            Metric("x", "1"),  # type: ignore[arg-type]
            Metric("x", None),  # type: ignore[arg-type]
        ],
    )
    def test_what_cannot_be_kept_is_refused_whole(self, store: Store, metric: Metric) -> None:
        run = a_run(store)
        with pytest.raises(InvalidInput):
            store.record_metrics(run.id, [Metric("good", 1.0), metric], batch="b")
        assert store.list_metrics([run.id]) == []
        store.record_metrics(run.id, [Metric("good", 1.0)], batch="b")
        assert store.list_metrics([run.id])[0].count == 1


def _assert_same(found: Sequence[Metric], expected: Sequence[Metric]) -> None:
    def plain(points: Sequence[Metric]) -> list[tuple[Any, ...]]:
        return [(point.key, point.step, point.at + 0.0, exactly(point.value)) for point in points]

    assert plain(found) == plain(expected)


def _assert_summary(summary: MetricSummary, points: list[Metric]) -> None:
    first, last = min(points, key=place), max(points, key=place)
    numbers = [point.value for point in points if not math.isnan(point.value)]
    assert (summary.last_step, summary.at, summary.count) == (last.step, last.at, len(points))
    expected = (first.value, last.value, min(numbers, default=NAN), max(numbers, default=NAN))
    found = (summary.first, summary.last, summary.min, summary.max)
    assert [exactly(value) for value in found] == [exactly(value) for value in expected]
