"""What is kept of a metric's series for tables and search: a value that grows with each batch of points.

Pure: `merge` of two summaries is the summary of all their points, in whatever order they came.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from relive.core.run import Metric


class End(NamedTuple):
    """The first or last point of a series. They are ordered by step, then time, then value; NaN is lowest."""

    step: int
    at: float
    is_number: bool
    value: float  # 0 for NaN, which has no order


class Summary(NamedTuple):
    """The ends and extremes of a series.

    Attributes:
        lowest: Smallest value that is a number; NaN if there is none.
        highest: Greatest value that is a number; NaN if there is none.
        points: How many.
    """

    first: End
    last: End
    lowest: float
    highest: float
    points: int


def end_of(point: Metric) -> End:
    """Give a point as it is compared with others of its series."""
    is_number = not math.isnan(point.value)
    return End(point.step, point.at, is_number, point.value if is_number else 0.0)


def summarise(points: Sequence[Metric]) -> Summary:
    """Summarise points of one series; there is at least one."""
    ends = [end_of(point) for point in points]
    numbers = [end.value for end in ends if end.is_number]
    return Summary(
        first=min(ends),
        last=max(ends),
        lowest=min(numbers, default=math.nan),
        highest=max(numbers, default=math.nan),
        points=len(points),
    )


def merge(one: Summary, other: Summary) -> Summary:
    """Give the summary of the points of both."""
    lows = [value for value in (one.lowest, other.lowest) if not math.isnan(value)]
    highs = [value for value in (one.highest, other.highest) if not math.isnan(value)]
    return Summary(
        first=min(one.first, other.first),
        last=max(one.last, other.last),
        lowest=min(lows, default=math.nan),
        highest=max(highs, default=math.nan),
        points=one.points + other.points,
    )
