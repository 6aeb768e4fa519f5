"""A summary is the same however its points came."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.run import Metric
from relive.stores.sql.summary import merge, summarise

POINTS = st.lists(
    st.builds(Metric, st.just("x"), st.floats(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.0])),
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
        0.0 in [point.value for point in one + other]
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
    summary = summarise([Metric("x", value, step, at) for value, step, at in points])
    assert summary.last.value == last


def test_nan_is_neither_lowest_nor_highest():
    summary = summarise([Metric("x", math.nan, 0), Metric("x", -1.0, 1), Metric("x", math.nan, 2)])
    assert (summary.lowest, summary.highest) == (-1.0, -1.0)
    assert not summary.first.is_number
    assert not summary.last.is_number
    alone = summarise([Metric("x", math.nan)])
    assert math.isnan(alone.lowest)
    assert math.isnan(merge(alone, alone).highest)
    assert merge(alone, summary).highest == -1.0
