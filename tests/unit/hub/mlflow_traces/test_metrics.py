"""Figures over traces."""

from typing import Any

import pytest

from relive.services.mlflow.trace_metrics import percentile
from tests.unit.hub.mlflow_registry.conftest import Registry
from tests.unit.hub.mlflow_traces.test_traces import new_experiment, started


@pytest.fixture(scope="module")
def experiment(registry: Registry) -> str:
    """Give an experiment with four traces, a minute apart."""
    experiment_id = new_experiment(registry, "figures")
    for number in range(4):
        usage = f'{{"total_tokens": {number}}}'
        started(
            registry,
            f"tr-m{number}",
            experiment_id,
            request_time=f"2026-11-23T10:0{number}:30Z",
            execution_duration=f"{number}s",
            state="ERROR" if number == 3 else "OK",
            tags={"mlflow.traceName": f"n{number % 2}", "team": "blue"},
            trace_metadata={"mlflow.trace.tokenUsage": usage, "mlflow.trace.session": f"s{number % 2}"},
        )
        said = {"assessment_name": "ok", "feedback": {"value": number < 2}}
        registry.post(f"traces/tr-m{number}/assessments", assessment=said)
    return experiment_id


def asked(metric: str, *kinds: str, view: str = "TRACES", **more: Any) -> dict[str, Any]:
    """Give what asks for figures; P50 is a percentile."""
    aggregations: list[dict[str, Any]] = [
        {"aggregation_type": "PERCENTILE", "percentile_value": float(kind[1:])}
        if kind[1:].isdecimal()
        else {"aggregation_type": kind}
        for kind in kinds
    ]
    return {"view_type": view, "metric_name": metric, "aggregations": aggregations} | more


@pytest.mark.parametrize(
    ("asking", "values"),
    [
        (asked("trace_count", "COUNT"), [{"COUNT": 4.0}]),
        (asked("session_count", "COUNT"), [{"COUNT": 2.0}]),
        (asked("trace_count", "COUNT", dimensions=["trace_status"]), [{"COUNT": 1.0}, {"COUNT": 3.0}]),
        (
            asked("latency", "AVG", "MIN", "MAX", "P50"),
            [{"AVG": 1500.0, "MIN": 0, "MAX": 3000.0, "P50.0": 1500.0}],
        ),
        (asked("total_tokens", "SUM", dimensions=["trace_name"]), [{"SUM": 2.0}, {"SUM": 4.0}]),
        (
            asked("trace_count", "COUNT", filters=["trace.status = 'OK'", "trace.tag.team = 'blue'"]),
            [{"COUNT": 3.0}],
        ),
        (
            asked("trace_count", "COUNT", filters=["trace.metadata.mlflow.trace.session = 's1'"]),
            [{"COUNT": 2.0}],
        ),
        (
            asked("assessment_value", "AVG", view="ASSESSMENTS", filters=["assessment.name = 'ok'"]),
            [{"AVG": 0.5}],
        ),
        # Nothing is counted as 0, unless there is something that it would be counted by.
        (asked("span_count", "COUNT", view="SPANS"), [{"COUNT": 0.0}]),
        (asked("span_count", "COUNT", view="SPANS", dimensions=["span_name"]), []),
        (asked("total_cost", "SUM", view="SPANS"), []),
        (asked("trace_count", "COUNT", dimensions=["trace_name"], max_results=1), [{"COUNT": 2.0}]),
    ],
)
def test_figures_are_given(
    registry: Registry, experiment: str, asking: dict[str, Any], values: list[dict[str, float]]
) -> None:
    answer = registry.post("traces/metrics", experiment_ids=[experiment], **asking)
    assert [point["values"] for point in answer.get("data_points", [])] == values


def test_figures_follow_time(registry: Registry, experiment: str) -> None:
    span: dict[str, Any] = {
        "time_interval_seconds": 120,
        "start_time_ms": 1795428000000,
        "end_time_ms": 1795428180000,
    }
    answer = registry.post(
        "traces/metrics", experiment_ids=[experiment], **asked("trace_count", "COUNT", **span)
    )
    found = {point["dimensions"]["time_bucket"]: point["values"]["COUNT"] for point in answer["data_points"]}
    assert found == {"2026-11-23T10:00:00+00:00": 2.0, "2026-11-23T10:02:00+00:00": 1.0}


@pytest.mark.parametrize(
    "asking",
    [
        asked("nothing", "COUNT"),
        asked("trace_count"),
        asked("trace_count", "SUM"),
        asked("trace_count", "MEDIAN"),
        asked("latency", "P101"),
        asked("latency", "PERCENTILE"),
        asked("trace_count", "COUNT", view="NOTHING"),
        asked("trace_count", "COUNT", dimensions=["span_name"]),
        asked("latency", "AVG", dimensions=["trace_status"]),
        asked("trace_count", "COUNT", time_interval_seconds=60),
        asked("trace_count", "COUNT", filters=["nonsense"]),
        asked("trace_count", "COUNT", filters=["trace.status != 'OK'"]),
        asked("trace_count", "COUNT", filters=["trace.status = OK"]),
        asked("trace_count", "COUNT", filters=["trace.status = 'OK' AND trace.tag.team = 'blue'"]),
        asked("trace_count", "COUNT", filters=["trace.tag = 'OK'"]),
        asked("trace_count", "COUNT", filters=["trace.status.a = 'OK'"]),
        asked("trace_count", "COUNT", filters=["trace.colour = 'red'"]),
        asked("trace_count", "COUNT", filters=["run.status = 'OK'"]),
        asked("trace_count", "COUNT", filters=["span.name = 'ask'"]),
    ],
)
def test_what_is_no_figure_is_refused(registry: Registry, experiment: str, asking: dict[str, Any]) -> None:
    refused = registry.refused("POST", "traces/metrics", experiment_ids=[experiment], **asking)
    assert refused[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("text", ["status = 'OK'", "name LIKE 'a%'"])
def test_a_filter_says_what_it_is_of(registry: Registry, experiment: str, text: str) -> None:
    asking = asked("trace_count", "COUNT", filters=[text])
    said = registry.refused("POST", "traces/metrics", experiment_ids=[experiment], **asking)[2]
    assert said.startswith(
        f"Invalid identifier '{text.split(maxsplit=1)[0]}'. Columns should be specified as 'trace.<key>'"
    )


@pytest.mark.parametrize(("part", "value"), [(0, 1.0), (50, 2.5), (100, 4.0), (90, 3.7)])
def test_a_percentile_lies_between_its_neighbours(part: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == pytest.approx(value)
    assert percentile([7.0], part) == 7.0
