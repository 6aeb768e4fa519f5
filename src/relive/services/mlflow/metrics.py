"""The histories of metrics, as MLflow's clients and its pages ask for them."""

import base64
import binascii
import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from math import inf, isfinite, isnan
from operator import le, lt
from typing import Any, Final

import msgspec

from relive.core.access import Caller
from relive.core.series import Points, join, no_points
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow.faults import SEE_DOCS, invalid
from relive.services.mlflow.values import json_number, milliseconds
from relive.wire.mlflow import tracking as wire

_MOST_RUNS: Final = 100
_MOST_POINTS: Final = 25000
_MOST_A_RUN: Final = 2500
# A series may have ten million points: so many are in memory at a time.
_STRETCH: Final = 1 << 16


def history(services: Services, message: wire.GetHistory, caller: Caller) -> dict[str, Any] | Iterator[bytes]:
    """Give every point of a metric, or a page of them, by time, step and value; many as a stream of JSON.

    Raises:
        MlflowFault: There is no such page.
        AccessDenied: A command asks for a run of another project.
    """
    if message.max_results is not None and message.max_results <= 0:
        raise invalid(
            f"Invalid value {message.max_results} for parameter 'max_results' supplied. It must be a positive"
            " integer."
        )
    start = _read_token(message.page_token) if message.page_token else 0
    series = _Series(services, message.run_id, message.metric_key, caller)
    end = series.count if message.max_results is None else start + message.max_results
    token = {"next_page_token": _write_token(end)} if end < series.count else {}
    found = (_json(message.metric_key, some) for some in series.by_time(start, end))
    if min(end, series.count) - start > _STRETCH:
        return _stream(found, token)
    metrics = list(chain.from_iterable(found))
    return ({"metrics": metrics} if metrics else {}) | token


def history_of_many(services: Services, message: wire.GetHistoryBulk, caller: Caller) -> dict[str, Any]:
    """Give the points of a metric in many runs, run by run.

    Raises:
        MlflowFault: Too many runs are asked for, or none, or no metric.
        AccessDenied: A command asks for a run of another project.
    """
    run_ids, key, most = message.run_id, message.metric_key, message.max_results
    if not run_ids:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(run_ids) > _MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {_MOST_RUNS} run_ids. Received"
            f" {len(run_ids)} run_ids."
        )
    if key is None:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    left = _MOST_POINTS if most is None else max(0, min(most, _MOST_POINTS))
    found: list[wire.HistoryPoint] = []
    for run_id in sorted(set(run_ids)):
        for some in _Series(services, run_id, key, caller).by_time(0, left - len(found)):
            found += _json(key, some, run_id=run_id)
    return {"metrics": found}


def sampled_history(
    services: Services, message: wire.GetHistoryBulkInterval, caller: Caller
) -> dict[str, Any]:
    """Give points of a metric in many runs, evenly picked between two steps, the last always among them.

    Raises:
        MlflowFault: Too many runs or points are asked for, or a step without the other.
        AccessDenied: A command asks for a run of another project.
    """
    _check_interval(message)
    most = _MOST_A_RUN if message.max_results is None else message.max_results
    first, last = message.start_step, message.end_step
    found: list[wire.HistoryPoint] = []
    for run_id in message.run_ids:
        series = _Series(services, run_id, message.metric_key, caller)
        among = range(series.count) if first is None or last is None else series.between(first, last)
        found += _json(message.metric_key, series.pick(_sample(among, most)), run_id=run_id)
    return {"metrics": found} if found else {}


class _Series:
    """A series, read a stretch at a time; a run that is not there has none, as MLflow has it.

    Attributes:
        count: How many points it had when it was looked at.
    """

    def __init__(self, services: Services, run_id: str, key: str, caller: Caller) -> None:
        """Look at all of it once.

        Raises:
            AccessDenied: A command asks for a run of another project.
        """
        self._store, self._key, self.count, self._is_by_time = services.store, key, 0, True
        self._run = services.store.find_run(run_id)
        self._held: Points | None = None
        if self._run is None:
            return
        require_reader(caller, self._run.project_id)
        before = Points(array("q", [0]), array("d", [-inf]), array("d", [0.0]))
        for some in self._stretches(0, None):
            # Most series are short, and need not be read twice.
            self._held = some if not self.count and len(some) < _STRETCH else None
            self.count += len(some)
            self._is_by_time = self._is_by_time and _goes_on(before, some)
            before = some

    def by_time(self, start: int, end: int) -> Iterator[Points]:
        """Give points by time, step and value, from a number to before another.

        Only where times run back they are all held and sorted.
        """
        end = min(end, self.count)
        if self._is_by_time:
            yield from self._stretches(start, end)
            return
        whole = _sorted(join(self._stretches(0, self.count)))
        for at in range(start, end, _STRETCH):
            yield whole.part(at, min(at + _STRETCH, end))

    def between(self, first: int, last: int) -> range:
        """Give the numbers of the points between two steps."""
        start = end = 0
        for some in self._stretches(0, self.count):
            start += bisect_left(some.steps, first)
            end += bisect_right(some.steps, last)
        return range(start, end)

    def pick(self, numbers: Sequence[int]) -> Points:
        """Give the points of these numbers, which count from 0 by step, in their order."""
        found, at = no_points(), numbers[0] if numbers else 0
        for some in self._stretches(at, numbers[-1] + 1) if numbers else ():
            for number in numbers[bisect_left(numbers, at) : bisect_left(numbers, at + len(some))]:
                found.steps.append(some.steps[number - at])
                found.times.append(some.times[number - at])
                found.values.append(some.values[number - at])
            at += len(some)
        return found

    def _stretches(self, start: int, end: int | None) -> Iterator[Points]:
        if self._held is not None or self._run is None:
            held = no_points() if self._held is None else self._held
            yield from (held.part(start, len(held) if end is None else end),) if held else ()
            return
        limit = _STRETCH
        while (end is None or start < end) and limit == _STRETCH:
            wanted = _STRETCH if end is None else min(_STRETCH, end - start)
            some = self._store.page_points(self._run.id, self._key, start=start, limit=wanted)
            if some:
                yield some
            limit = len(some)
            start += limit


def _goes_on(before: Points, points: Points) -> bool:
    """Tell whether points by step are points by time, step and value, also after those before them."""
    # NaN comes first by step; MLflow keeps it as 0.
    fits = lt if isnan(before.values[-1]) or any(map(isnan, points.values)) else le
    return fits(before.times[-1], points.times[0]) and all(
        map(fits, points.times, islice(points.times, 1, None))
    )


def _sorted(points: Points) -> Points:
    """Give points by time, step and value."""
    steps, times, values = points.steps, points.times, points.values

    def place(number: int) -> tuple[float, int, float]:
        return times[number], steps[number], 0.0 if isnan(values[number]) else values[number]

    # In the order by step already: equal times need no further look if all are numbers.
    order = sorted(range(len(points)), key=place if any(map(isnan, values)) else times.__getitem__)
    return Points(
        array("q", map(steps.__getitem__, order)),
        array("d", map(times.__getitem__, order)),
        array("d", map(values.__getitem__, order)),
    )


def _stream(found: Iterable[list[wire.HistoryPoint]], token: dict[str, str]) -> Iterator[bytes]:
    before = b'{"metrics":['
    for some in found:
        yield before + msgspec.json.encode(some)[1:-1]
        before = b","
    yield b"]," + msgspec.json.encode(token)[1:] if token else b"]}"


def _check_interval(message: wire.GetHistoryBulkInterval) -> None:
    count, most = len(message.run_ids), message.max_results
    if count > _MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {_MOST_RUNS} run_ids. Received"
            f" {count} run_ids.{SEE_DOCS}"
        )
    if most is not None and not 1 <= most <= _MOST_A_RUN:
        raise invalid(f"max_results must be between 1 and {_MOST_A_RUN}.{SEE_DOCS}")
    first, last = message.start_step, message.end_step
    if (first is None) != (last is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if first is not None and last is not None and first > last:
        raise invalid(
            f"end_step must be greater than start_step. Found start_step={first} and end_step={last}."
        )


def _sample(numbers: range, most: int) -> Sequence[int]:
    """Pick the first of each of `most` stretches that are as long as can be; and the last of all."""
    if len(numbers) <= most:
        return numbers
    length, longer = divmod(len(numbers), most)
    starts = [index * length + min(index, longer) for index in range(most - 1)]
    return [*(numbers[start] for start in starts), numbers[-1]]


def _json(key: str, points: Points, run_id: str = "") -> list[wire.HistoryPoint]:
    values: Iterable[float | str] = points.values
    if not isfinite(sum(points.values)):
        values = map(json_number, points.values)
    stamps = map(milliseconds, points.times)
    return list(map(wire.HistoryPoint, repeat(key), values, stamps, points.steps, repeat(run_id)))


def _write_token(start: int) -> str:
    return base64.b64encode(json.dumps({"offset": start}).encode()).decode()


def _read_token(token: str) -> int:
    try:
        return max(0, int(json.loads(base64.b64decode(token))["offset"]))
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise invalid("Invalid page token, could not base64-decode") from None
