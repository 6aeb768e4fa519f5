"""Fewer points of a series that still look like it: each bucket keeps its lowest and its highest.

Pure, and in one pass: a series of any length is reduced while it is read, so the hub's memory stays flat.
"""

import math
from collections.abc import Iterable

from relive.core.run import Metric

# The two ends of the series, and the two extremes of one bucket.
FEWEST = 4


def reduce_series(points: Iterable[Metric], count: int, max_points: int) -> list[Metric]:
    """Give at most `max_points` of a series, among them its first, its last, its lowest and its highest.

    Args:
        points: In the order of the series.
        count: How many they are; all are given if they are few enough.
        max_points: At least `FEWEST`.
    """
    if count <= max_points:
        return list(points)
    n_buckets = (max_points - 2) // 2
    per_bucket = math.ceil((count - 2) / n_buckets)
    kept: list[Metric] = []
    bucket: list[Metric] = []
    last: Metric | None = None
    for point in points:
        if not kept:
            kept.append(point)
            continue
        if last is not None:
            bucket.append(last)
        last = point
        if len(bucket) == per_bucket:
            kept += _extremes(bucket)
            bucket = []
    kept += _extremes(bucket)
    return kept if last is None else [*kept, last]


def _extremes(bucket: list[Metric]) -> list[Metric]:
    """Give the lowest and the highest point in their order; a bucket without numbers keeps one NaN."""
    numbers = [(point.value, index) for index, point in enumerate(bucket) if not math.isnan(point.value)]
    if not numbers:
        return bucket[:1]
    lowest, highest = min(numbers)[1], max(numbers)[1]
    return [bucket[index] for index in sorted({lowest, highest})]
