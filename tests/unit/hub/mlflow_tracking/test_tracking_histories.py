"""The histories of metrics: whole, by pages, of many runs, evenly picked."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relive.services.mlflow import metrics
from tests.unit.hub.mlflow_tracking.conftest import SEE, Tracking

BAD = "INVALID_PARAMETER_VALUE"
MANY = "metrics/get-history-bulk"
SOME = "metrics/get-history-bulk-interval"


@pytest.fixture(scope="module")
def run(tracking: Tracking) -> str:
    """A run with a metric whose times do not follow its steps, and a long one."""
    run_id = tracking.run()
    points = [(3, 1, 1.0), (0, 9, 2.0), (1, 5, "NaN"), (1, 5, -2.0), (1, 5, "Infinity"), (-2, 5, 3.0)]
    metrics = [{"key": "m", "step": s, "timestamp": t, "value": v} for s, t, v in points]
    metrics += [{"key": "long", "step": s, "timestamp": s, "value": s / 2} for s in range(100)]
    tracking.post("runs/log-batch", run_id=run_id, metrics=metrics)
    return run_id


def places(found: Any) -> list[tuple[int, int, Any]]:
    """Give time, step and value of points."""
    return [(point["timestamp"], point["step"], point["value"]) for point in found.get("metrics", [])]


IN_ORDER = [(1, 3, 1.0), (5, -2, 3.0), (5, 1, -2.0), (5, 1, "NaN"), (5, 1, "Infinity"), (9, 0, 2.0)]


def test_points_are_told_by_time_step_and_value(tracking: Tracking, run: str) -> None:
    assert places(tracking.get("metrics/get-history", run_id=run, metric_key="m")) == IN_ORDER
    assert tracking.get("metrics/get-history", run_id=run, metric_key="none") == {}
    assert tracking.get("metrics/get-history", run_id="none", metric_key="m") == {}


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 7])
def test_pages_together_are_the_whole(tracking: Tracking, run: str, size: int) -> None:
    query: dict[str, Any] = {"run_id": run, "metric_key": "m", "max_results": size}
    found = []
    for _ in range(7):
        page = tracking.get("metrics/get-history", **query)
        assert len(page["metrics"]) <= size
        found += places(page)
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]
    assert found == IN_ORDER


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"metric_key": "m"}, f"Missing value for required parameter 'run_id'.{SEE}"),
        ({"run_id": "x"}, f"Missing value for required parameter 'metric_key'.{SEE}"),
        (
            {"run_id": "x", "metric_key": "m", "max_results": 0},
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.",
        ),
        (
            {"run_id": "x", "metric_key": "m", "max_results": "x"},
            "Invalid value \"x\" for parameter 'max_results'",
        ),
        (
            {"run_id": "x", "metric_key": "m", "page_token": "bad"},
            "Invalid page token, could not base64-decode",
        ),
    ],
)
def test_a_page_that_cannot_be_is_refused(tracking: Tracking, query: dict[str, Any], said: str) -> None:
    status, code, message = tracking.refused_query("metrics/get-history", **query)
    assert (status, code) == (400, BAD)
    assert message.startswith(said)


def test_many_runs_come_one_after_the_other(tracking: Tracking, run: str) -> None:
    other = tracking.run()
    tracking.post("runs/log-metric", run_id=other, key="m", value=8, timestamp=0)
    found = tracking.get(MANY, run_id=[run, other, "none"], metric_key="m")["metrics"]
    assert [point["run_id"] for point in found] == sorted([other, *[run] * 6])
    assert len(tracking.get(MANY, run_id=[run, other], metric_key="m", max_results=3)["metrics"]) == 3
    assert tracking.get(MANY, run_id=["none"], metric_key="m") == {"metrics": []}


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (MANY, {"metric_key": "m"}, "GetMetricHistoryBulk request must specify at least one run_id."),
        (
            MANY,
            {"run_id": ["x"] * 101, "metric_key": "m"},
            "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids.",
        ),
        (MANY, {"run_id": ["x"]}, "GetMetricHistoryBulk request must specify a metric_key."),
        (SOME, {"metric_key": "m"}, f"Missing value for required parameter 'run_ids'.{SEE}"),
        (
            SOME,
            {"run_ids": ["x"], "metric_key": ""},
            f"Missing value for required parameter 'metric_key'.{SEE}",
        ),
        (
            SOME,
            {"run_ids": ["x"] * 101, "metric_key": "m"},
            "GetMetricHistoryBulkInterval request must specify at most 100 run_ids. Received 101 run_ids.",
        ),
        (
            SOME,
            {"run_ids": ["x"], "metric_key": "m", "max_results": 2501},
            "max_results must be between 1 and 2500.",
        ),
        (
            SOME,
            {"run_ids": ["x"], "metric_key": "m", "start_step": 1, "end_step": 0},
            "end_step must be greater than start_step. Found start_step=1 and end_step=0.",
        ),
        (
            SOME,
            {"run_ids": ["x"], "metric_key": "m", "start_step": 1},
            "If either start step or end step are specified, both must be specified.",
        ),
    ],
)
def test_what_cannot_be_asked_of_many_runs(
    tracking: Tracking, path: str, query: dict[str, Any], said: str
) -> None:
    status, code, message = tracking.refused_query(path, **query)
    assert (status, code) == (400, BAD)
    assert message.startswith(said)


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ({"max_results": 1}, [99]),
        ({"max_results": 5}, [0, 20, 40, 60, 99]),
        ({"max_results": 7, "start_step": 10, "end_step": 40}, [10, 15, 20, 25, 29, 33, 40]),
        ({"max_results": 100}, list(range(100))),
        ({}, list(range(100))),
        ({"start_step": 500, "end_step": 600}, []),
    ],
)
def test_points_are_evenly_picked_and_the_last_is_among_them(
    tracking: Tracking, run: str, query: dict[str, Any], steps: list[int]
) -> None:
    found = tracking.get(SOME, run_ids=[run, "none"], metric_key="long", **query)
    assert [point["step"] for point in found.get("metrics", [])] == steps


POINT = st.tuples(
    st.integers(0, 12), st.integers(0, 5), st.sampled_from([1.0, 2.0, -1.0, math.nan, math.inf, -math.inf])
)


@given(points=st.lists(POINT, min_size=1, max_size=40), in_order=st.booleans(), size=st.integers(1, 9))
@settings(max_examples=40)
def test_read_in_stretches_a_history_is_the_same(tracking: Tracking, points, in_order, size) -> None:
    run = tracking.run(experiment_id="0")
    if in_order:
        points = [(step, step, value) for step, _, value in points]
    sent = [{"key": "x", "step": step, "timestamp": at, "value": str(value)} for step, at, value in points]
    tracking.post("runs/log-batch", run_id=run, metrics=sent)
    with pytest.MonkeyPatch.context() as patch:
        whole = tracking.get("metrics/get-history", run_id=run, metric_key="x")["metrics"]
        sampled = tracking.get(
            "metrics/get-history-bulk-interval", run_ids=run, metric_key="x", max_results=size
        )
        patch.setattr(metrics, "_STRETCH", 4)
        assert tracking.get("metrics/get-history", run_id=run, metric_key="x")["metrics"] == whole
        pages, token = [], ""
        while True:
            query = {"max_results": size} | ({"page_token": token} if token else {})
            page = tracking.get("metrics/get-history", run_id=run, metric_key="x", **query)
            pages += page["metrics"]
            token = page.get("next_page_token")
            if not token:
                break
        assert pages == whole
        in_stretches = tracking.get(
            "metrics/get-history-bulk-interval", run_ids=run, metric_key="x", max_results=size
        )
        assert in_stretches == sampled
    distinct = {
        (at, step, 0.0 if math.isnan(value) else value, math.isnan(value)) for step, at, value in points
    }
    assert [(it["timestamp"], it["step"]) for it in whole] == [it[:2] for it in sorted(distinct)]
