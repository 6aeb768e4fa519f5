"""What is kept of a metric's series for tables and search: a value that grows with each batch of points.

Pure: `merge` of two summaries is the summary of all their points, in whatever order they came.
"""

import math
from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

from relive.core.series import Points

# A point as it is compared with others of its series: step, time, whether it is a number, value (0 for NaN,
# which has no order). So the last point is the greatest tuple, and NaN is lower than every number. A plain
# tuple, because there is one for each point that comes in.
Place: TypeAlias = tuple[int, float, bool, float]


class Summary(NamedTuple):
    """The ends and extremes of a series.

    Attributes:
        first: Its lowest point.
        last: Its greatest point.
        lowest: Smallest value that is a number; NaN if there is none.
        highest: Greatest value that is a number; NaN if there is none.
        points: How many.
    """

    first: Place
    last: Place
    lowest: float
    highest: float
    points: int


def place_of(step: int, at: float, value: float) -> Place:
    """Give a point's place in its series."""
    if math.isnan(value):
        return step, at, False, 0.0
    return step, at, True, value


def value_of(place: Place) -> float:
    """Give the value of a point."""
    return place[3] if place[2] else math.nan


def places_of(points: Points) -> list[Place]:
    """Give the place of each point."""
    return list(map(place_of, points.steps, points.times, points.values))


def place_at(points: Points, index: int) -> Place:
    """Give the place of one of the points."""
    return place_of(points.steps[index], points.times[index], points.values[index])


def points_of(places: Sequence[Place]) -> Points:
    """Give places as columns."""
    if not places:
        return Points(array("q"), array("d"), array("d"))
    steps, times, numbers, values = zip(*places, strict=True)
    column = array("d", values)
    if not all(numbers):
        for index, is_number in enumerate(numbers):
            if not is_number:
                column[index] = math.nan
    return Points(array("q", steps), array("d", times), column)


def summarise(places: Collection[Place]) -> Summary:
    """Summarise points of one series; there is at least one."""
    numbers = [value for _, _, is_number, value in places if is_number]
    return Summary(
        first=min(places),
        last=max(places),
        lowest=min(numbers, default=math.nan),
        highest=max(numbers, default=math.nan),
        points=len(places),
    )


def summarise_points(points: Points) -> Summary:
    """Summarise points of one series that are in their order; there is at least one."""
    numbers: Sequence[float] = points.values
    if math.isnan(sum(numbers)):  # a NaN, or both infinities
        numbers = [value for value in numbers if not math.isnan(value)]
    return Summary(
        first=place_at(points, 0),
        last=place_at(points, -1),
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
