"""A reduced series shows what the whole one shows."""

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.run import Metric
from relive.stores.sql.reduction import FEWEST, reduce_series


def series(values) -> list[Metric]:
    """Make a series of these values, a step each."""
    return [Metric("x", value, step) for step, value in enumerate(values)]


@given(st.lists(st.floats(), max_size=200), st.integers(FEWEST, 60))
def test_few_points_that_keep_ends_order_and_extremes(values, max_points):
    whole = series(values)
    reduced = reduce_series(iter(whole), len(whole), max_points)
    assert len(reduced) <= max(max_points, 0)
    steps = [point.step for point in reduced]
    assert steps == sorted(set(steps))
    assert all(whole[point.step] is point for point in reduced)
    if whole:
        assert (reduced[0], reduced[-1]) == (whole[0], whole[-1])
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        kept = [point.value for point in reduced if not math.isnan(point.value)]
        assert (min(kept), max(kept)) == (min(numbers), max(numbers))


@given(st.integers(1, 500), st.integers(FEWEST, 100))
def test_no_stretch_is_left_empty(count, max_points):
    reduced = reduce_series(iter(series([float(step % 7) for step in range(count)])), count, max_points)
    if count <= max_points:
        assert len(reduced) == count
        return
    per_bucket = math.ceil((count - 2) / ((max_points - 2) // 2))
    gaps = [later.step - earlier.step for earlier, later in pairwise(reduced)]
    assert max(gaps) <= 2 * per_bucket


@pytest.mark.parametrize("count", [FEWEST + 1, 50])
def test_a_series_of_nothing_but_nan_stays_one(count):
    reduced = reduce_series(iter(series([math.nan] * count)), count, FEWEST)
    assert 2 <= len(reduced) <= FEWEST
    assert all(math.isnan(point.value) for point in reduced)


def test_it_is_read_once_and_not_kept():
    read = 0

    def points() -> Iterator[Metric]:
        nonlocal read
        for step in range(10_000):
            read += 1
            yield Metric("x", float(step), step)

    assert len(reduce_series(points(), 10_000, 10)) == 10
    assert read == 10_000
