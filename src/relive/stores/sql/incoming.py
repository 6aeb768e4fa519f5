"""Points as they come in, sorted into what becomes a chunk at once and what becomes rows.

Many points of one series are columns all the way from the client's file to the chunk: no object is made for
any of them. A few, or what cannot be ordered as columns, are places, a tuple each.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from operator import lt
from typing import Final, NamedTuple, TypeAlias

from relive.core.run import Metric, RunRecords
from relive.core.series import Points, join
from relive.errors import InvalidInput
from relive.formats.series import series_of
from relive.stores.sql.summary import Place, places_of, points_of

# Fewer points of a series cost less as rows, which are packed with those that follow.
MANY: Final = 128

Places: TypeAlias = dict[Place, None]


class Incoming(NamedTuple):
    """What is to be kept.

    Attributes:
        stretches: Of a series, many points in their order, each once.
        places: Of a series, points in any order, each once.
    """

    stretches: dict[str, Points]
    places: dict[str, Places]


def sort_out(records: RunRecords) -> Incoming:
    """Sort points by their key, each point once.

    Two points of a series with the same step, time and value are one, as in MLflow: a client that is not
    sure whether its message arrived sends it again.

    Raises:
        InvalidInput: A point is none that a database can hold.
    """
    columns, others = _as_columns(records.metrics)
    for key, points in chain.from_iterable(map(series_of, records.blocks)):
        if len(points):
            columns.setdefault(key, []).append(points)
    places = places_by_key(others)
    stretches: dict[str, Points] = {}
    known = _Known()
    for key, parts in columns.items():
        points = parts[0] if len(parts) == 1 else join(parts)
        if len(points) < MANY or key in places:
            places[key] = _places(key, points, places.get(key, {}))
        else:
            stretches[key] = known.ordered(key, points)
    return Incoming(stretches, places)


def places_by_key(metrics: Iterable[Metric]) -> dict[str, Places]:
    """Sort points by their key, each point once and in the order they came; see `sort_out`."""
    by_key: dict[str, Places] = {}
    isnan, isfinite = math.isnan, math.isfinite
    for metric in metrics:
        try:
            # 0.0 + x: SQLite keeps no negative zero, so none is kept anywhere.
            at, value = 0.0 + metric.at, 0.0 + metric.value
        except (TypeError, OverflowError) as error:
            wanted = f"numbers ({error})"
            raise InvalidInput(field=f"metric {metric.key!r}", value=metric, wanted=wanted) from error
        if not isfinite(at):
            raise _no_time(metric.key, metric.at)
        places = by_key.get(metric.key)
        if places is None:
            places = by_key[metric.key] = {}
        # As `place_of`; a call for each point would cost a fifth of this.
        places[(metric.step, at, False, 0.0) if isnan(value) else (metric.step, at, True, value)] = None
    return by_key


class _Known:
    """What was found out about columns that several series share."""

    def __init__(self) -> None:
        # By the columns' identities; holding them keeps those from being used again.
        self._in_order: dict[tuple[int, int], tuple[Points, bool]] = {}

    def ordered(self, key: str, points: Points) -> Points:
        """Give points in their order, each once, with one zero and one NaN."""
        shared = (id(points.steps), id(points.times))
        if shared not in self._in_order:
            self._in_order[shared] = points, _is_in_order(key, points)
        if not self._in_order[shared][1]:
            return points_of(sorted(_places(key, points, {})))
        values = points.values
        if 0.0 in values:
            values = array("d", [0.0 + value for value in values])
        if math.isnan(sum(values)):
            values = array("d", [math.nan if math.isnan(value) else value for value in values])
        return Points(points.steps, points.times, values)


def _is_in_order(key: str, points: Points) -> bool:
    """Tell whether points follow one another by step and time alone, and none has a time of -0.0."""
    steps, times = points.steps, points.times
    if not math.isfinite(sum(times)):
        for at in times:
            if not math.isfinite(at):
                raise _no_time(key, at)
    if 0.0 in times:
        return False
    if all(map(lt, steps, islice(steps, 1, None))):
        return True
    return all(map(lt, zip(steps, times, strict=True), islice(zip(steps, times, strict=True), 1, None)))


def _as_columns(metrics: Sequence[Metric]) -> tuple[dict[str, list[Points]], Iterable[Metric]]:
    """Turn the points of keys that have many into columns; gives the other points as well."""
    if len(metrics) < MANY:
        return {}, metrics
    by_key: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_key.setdefault(metric.key, []).append(metric)
    columns: dict[str, list[Points]] = {}
    for key, some in by_key.items():
        points = _columns(some) if len(some) >= MANY else None
        if points is not None:
            columns[key] = [points]
    return columns, chain.from_iterable(some for key, some in by_key.items() if key not in columns)


def _columns(metrics: Sequence[Metric]) -> Points | None:
    try:
        return Points(
            array("q", [it.step for it in metrics]),
            array("d", [it.at for it in metrics]),
            array("d", [it.value for it in metrics]),
        )
    except (TypeError, OverflowError):
        return None  # whoever looks at each finds out which it is


def _places(key: str, points: Points, known: Places) -> Places:
    for at in points.times:
        if not math.isfinite(at):
            raise _no_time(key, at)
    times, values = (
        array("d", [0.0 + number for number in column]) for column in (points.times, points.values)
    )
    return known | dict.fromkeys(places_of(Points(points.steps, times, values)))


def _no_time(key: str, at: float) -> InvalidInput:
    return InvalidInput(field=f"time of metric {key!r}", value=at, wanted="seconds")
