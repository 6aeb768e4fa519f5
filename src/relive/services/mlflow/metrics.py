"""The histories of metrics, as MLflow's clients and its pages ask for them."""

import base64
import binascii
import json
from collections.abc import Sequence
from math import isnan
from typing import Any, Final, TypeAlias

from relive.core.access import Caller
from relive.core.series import Points, no_points
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.mlflow.faults import SEE_DOCS, invalid
from relive.services.mlflow.values import json_number, milliseconds
from relive.wire.mlflow import tracking as wire

_MOST_RUNS: Final = 100
_MOST_POINTS: Final = 25000
_MOST_A_RUN: Final = 2500

# Time, step and value of a point: a plain tuple, because there may be a million.
_Row: TypeAlias = tuple[float, int, float]


def history(services: Services, message: wire.GetHistory, caller: Caller) -> dict[str, Any]:
    """Give every point of a metric, or a page of them, by time, step and value.

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
    rows = _by_time(_points(services, message.run_id, message.metric_key, caller))
    end = len(rows) if message.max_results is None else start + message.max_results
    found = _json(message.metric_key, rows[start:end])
    return ({"metrics": found} if found else {}) | (
        {"next_page_token": _write_token(end)} if end < len(rows) else {}
    )


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
    found: list[dict[str, Any]] = []
    for run_id in sorted(set(run_ids)):
        rows = _by_time(_points(services, run_id, key, caller))[: left - len(found)]
        found += _json(key, rows, run_id=run_id)
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
    found: list[dict[str, Any]] = []
    for run_id in message.run_ids:
        rows = _rows(_points(services, run_id, message.metric_key, caller))
        if first is not None and last is not None:
            rows = [row for row in rows if first <= row[1] <= last]
        found += _json(message.metric_key, _sample(rows, most), run_id=run_id)
    return {"metrics": found} if found else {}


def _points(services: Services, run_id: str, key: str, caller: Caller) -> Points:
    """Give a series by step; a run that is not there has none, as MLflow has it."""
    run = services.store.find_run(run_id)
    if run is None:
        return no_points()
    require_reader(caller, run.project_id)
    return services.store.get_points(run.id, key)


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


def _sample(rows: list[_Row], most: int) -> list[_Row]:
    """Pick the first point of each of `most` stretches that are as long as can be; and the last of all."""
    if len(rows) <= most:
        return rows
    length, longer = divmod(len(rows), most)
    starts = [index * length + min(index, longer) for index in range(most - 1)]
    return [*(rows[start] for start in starts), rows[-1]]


def _rows(points: Points) -> list[_Row]:
    return list(zip(points.times, points.steps, points.values, strict=True))


def _by_time(points: Points) -> list[_Row]:
    rows = _rows(points)
    if any(map(isnan, points.values)):
        # NaN has no order; MLflow keeps it as 0.
        return sorted(rows, key=lambda row: (row[0], row[1], 0.0 if isnan(row[2]) else row[2]))
    rows.sort()
    return rows


def _json(key: str, rows: Sequence[_Row], **more: str) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": json_number(value), "timestamp": milliseconds(at), "step": step, **more}
        for at, step, value in rows
    ]


def _write_token(start: int) -> str:
    return base64.b64encode(json.dumps({"offset": start}).encode()).decode()


def _read_token(token: str) -> int:
    try:
        return int(json.loads(base64.b64decode(token))["offset"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise invalid("Invalid page token, could not base64-decode") from None
