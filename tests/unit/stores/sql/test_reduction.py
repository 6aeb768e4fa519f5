"""A reduced series shows what the whole one shows."""

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.series import Points
from relive.stores.sql.reduction import FEWEST, LEAF, Piece, reduce_series, sketch
from relive.stores.sql.summary import place_of, places_of, points_of


def series(values) -> Points:
    """Make a series of these values, a step each."""
    return points_of([place_of(step, 0.0, value) for step, value in enumerate(values)])


def reduced(points: Points, max_points: int, pieces: list[Piece] | None = None) -> Points:
    places = places_of(points)
    ends = (places[0], places[-1]) if places else ((0, 0.0, True, 0.0),) * 2
    whole = [Piece(points, len(points))] if pieces is None else pieces
    return reduce_series(iter(whole), ends, len(points), max_points)


def assert_shows_the_same(fewer: Points, whole: Points) -> None:
    steps = list(fewer.steps)
    assert steps == sorted(set(steps))
    assert [repr(fewer.values[index]) for index in range(len(fewer))] == [
        repr(whole.values[step]) for step in steps
    ]
    if len(whole):
        assert (steps[0], steps[-1]) == (0, len(whole) - 1)
    numbers = [value for value in whole.values if not math.isnan(value)]
    if numbers:
        kept = [value for value in fewer.values if not math.isnan(value)]
        assert (min(kept), max(kept)) == (min(numbers), max(numbers))


@given(st.lists(st.floats(), max_size=200), st.integers(FEWEST, 60), st.integers(1, 50))
def test_few_points_that_keep_ends_order_and_extremes(values, max_points, length):
    whole = series(values)
    parts = [whole.part(start, start + length) for start in range(0, len(whole), length)]
    fewer = reduced(whole, max_points, [Piece(part, len(part)) for part in parts])
    assert len(fewer) <= max_points
    assert_shows_the_same(fewer, whole)


@given(st.lists(st.floats(width=16), max_size=40), st.integers(FEWEST, 12), st.integers(1, 4))
def test_sketches_show_the_same(values, max_points, leaves):
    whole = series(value for value in values for _ in range(LEAF // 4))
    length = leaves * LEAF
    parts = [whole.part(start, start + length) for start in range(0, len(whole), length)]
    pieces = [Piece(sketch(part, 0, len(part)), len(part)) for part in parts]
    assert all(len(piece.points) <= 2 * leaves for piece in pieces)
    fewer = reduced(whole, max_points, pieces)
    assert len(fewer) <= max_points or len(whole) <= max_points
    if len(whole) > max_points:
        assert_shows_the_same(fewer, whole)


@given(st.integers(1, 500), st.integers(FEWEST, 100))
def test_no_stretch_is_left_empty(count, max_points):
    fewer = reduced(series([float(step % 7) for step in range(count)]), max_points)
    if count <= max_points:
        assert len(fewer) == count
        return
    per_bucket = math.ceil(count / ((max_points - 2) // 2))
    gaps = [later - earlier for earlier, later in pairwise(fewer.steps)]
    assert max(gaps) <= 2 * per_bucket


@pytest.mark.parametrize("count", [FEWEST + 1, 50])
def test_a_series_of_nothing_but_nan_stays_one(count):
    fewer = reduced(series([math.nan] * count), FEWEST)
    assert 2 <= len(fewer) <= FEWEST
    assert all(math.isnan(value) for value in fewer.values)


def test_it_is_read_once_and_not_kept():
    read = 0

    def pieces() -> Iterator[Piece]:
        nonlocal read
        for start in range(0, 10_000, 100):
            part = points_of([place_of(step, 0.0, float(step)) for step in range(start, start + 100)])
            read += len(part)
            yield Piece(part, len(part))

    ends = (place_of(0, 0.0, 0.0), place_of(9_999, 0.0, 9_999.0))
    assert 8 <= len(reduce_series(pieces(), ends, 10_000, 10)) <= 10
    assert read == 10_000
