"""A summary is the same however its points came."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.stores.sql.summary import merge, place_of, summarise, value_of

POINTS = st.lists(
    st.builds(place_of, st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.0]), st.floats()),
    min_size=1,
    max_size=8,
)


def same(one, other) -> bool:
    """Compare summaries; a NaN is equal to itself here."""
    return repr(one) == repr(other)


@given(POINTS, POINTS)
def test_two_batches_make_the_summary_of_all_points(one, other):
    assert same(merge(summarise(one), summarise(other)), merge(summarise(other), summarise(one))) or (
        # Equal points of both signs of zero: either stands for both.
        0.0 in [value for *_, value in one + other]
    )
    together = summarise(one + other)
    merged = merge(summarise(one), summarise(other))
    assert (merged.points, merged.first, merged.last) == (together.points, together.first, together.last)
    assert [merged.lowest, merged.highest] == pytest.approx([together.lowest, together.highest], nan_ok=True)


@given(POINTS, POINTS, POINTS)
def test_the_order_of_batches_does_not_count(one, two, three):
    left = merge(merge(summarise(one), summarise(two)), summarise(three))
    right = merge(summarise(one), merge(summarise(two), summarise(three)))
    assert (left.first, left.last, left.points) == (right.first, right.last, right.points)


@pytest.mark.parametrize(
    ("points", "last"),
    [
        ([(1.0, 5, 0.0), (2.0, 4, 9.0)], 1.0),
        ([(1.0, 5, 0.0), (2.0, 5, 1.0)], 2.0),
        ([(1.0, 5, 0.0), (2.0, 5, 0.0)], 2.0),
        ([(math.nan, 5, 0.0), (-math.inf, 5, 0.0)], -math.inf),
    ],
    ids=["by step", "then by time", "then by value", "NaN is lowest"],
)
def test_the_last_point_is_the_greatest(points, last):
    summary = summarise([place_of(step, at, value) for value, step, at in points])
    assert value_of(summary.last) == last


def test_nan_is_neither_lowest_nor_highest():
    summary = summarise([place_of(step, 0.0, value) for step, value in enumerate((math.nan, -1.0, math.nan))])
    assert (summary.lowest, summary.highest) == (-1.0, -1.0)
    assert math.isnan(value_of(summary.first))
    assert math.isnan(value_of(summary.last))
    alone = summarise([place_of(0, 0.0, math.nan)])
    assert math.isnan(alone.lowest)
    assert math.isnan(merge(alone, alone).highest)
    assert merge(alone, summary).highest == -1.0
