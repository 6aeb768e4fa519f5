"""Fewer points of a series that still look like it: each bucket keeps its lowest and its highest.

Pure, and in one pass: a series of any length is reduced while it is read, so the hub's memory stays flat. A
long series is not even read: each chunk keeps a sketch, the extremes of every `LEAF` points, and buckets that
are no shorter than that are made of sketches.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from relive.core.series import Points, join
from relive.stores.sql.summary import Place, place_at, points_of, value_of

# The two ends of the series, and the two extremes of one bucket.
FEWEST: Final = 4
# Points that a sketch says two of.
LEAF: Final = 256


class Piece(NamedTuple):
    """A stretch of a series.

    Attributes:
        points: The stretch itself, or a sketch of it.
        stands_for: How many points of the series it is.
    """

    points: Points
    stands_for: int


def sketch(points: Points, start: int, end: int) -> Points:
    """Give the lowest and the highest of every `LEAF` points, of those from `start` to before `end`."""
    kept = [
        index for leaf in range(start, end, LEAF) for index in _extremes(points, leaf, min(leaf + LEAF, end))
    ]
    return points_of([place_at(points, index) for index in kept])


def reduce_series(pieces: Iterable[Piece], ends: tuple[Place, Place], count: int, max_points: int) -> Points:
    """Give at most `max_points` of a series, among them its first, its last, its lowest and its highest.

    Args:
        pieces: In the order of the series.
        ends: Its first and its last point.
        count: How many points it has; all are given if they are few enough.
        max_points: At least `FEWEST`.
    """
    if count <= max_points:
        return join(piece.points for piece in pieces)
    first, last = ends
    kept = _by_bucket(pieces, count, (max_points - 2) // 2)
    return points_of([first, *(place for place in kept if first < place < last), last])


def _by_bucket(pieces: Iterable[Piece], count: int, n_buckets: int) -> list[Place]:
    """Give the extremes of each of so many stretches of about the same length."""
    per_bucket = count / n_buckets
    kept: list[Place] = []
    bucket: list[Place] = []
    number, passed = 0, 0.0
    for points, stands_for in pieces:
        weight = stands_for / max(1, len(points))
        start = 0
        while start < len(points):
            room = (number + 1) * per_bucket - passed
            end = min(len(points), start + max(1, math.ceil(room / weight)))
            bucket += [place_at(points, index) for index in _extremes(points, start, end)]
            passed += (end - start) * weight
            start = end
            reached = min(int(passed / per_bucket), n_buckets - 1)
            if reached > number:
                kept += _outermost(bucket)
                number, bucket = reached, []
    return kept + _outermost(bucket)


def _extremes(points: Points, start: int, end: int) -> list[int]:
    """Say where the lowest and the highest of a stretch are; one without numbers keeps one NaN."""
    values = points.values[start:end]
    if not math.isnan(sum(values)):
        return sorted({start + values.index(min(values)), start + values.index(max(values))})
    # There is a NaN, or both infinities.
    numbers = [(value, index) for index, value in enumerate(values, start) if not math.isnan(value)]
    return sorted({min(numbers)[1], max(numbers)[1]}) if numbers else [start]


def _outermost(places: list[Place]) -> list[Place]:
    numbers = [place for place in places if place[2]]
    if not numbers:
        return places[:1]
    return sorted({min(numbers, key=value_of), max(numbers, key=value_of)})
