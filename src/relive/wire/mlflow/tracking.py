"""Experiments, runs, metrics, params and tags.

Source: MLflow's REST API, version 2.0.
"""

import msgspec

from relive.wire.mlflow.common import Int64, KeyValue


class MetricPoint(msgspec.Struct, frozen=True):
    """One point; `timestamp` in milliseconds. JSON has no NaN: clients send it as text."""

    key: str
    value: float | str
    timestamp: Int64
    step: Int64 = 0


class CreateExperiment(msgspec.Struct, frozen=True):
    """experiments/create."""

    name: str


class CreateRun(msgspec.Struct, frozen=True):
    """runs/create; `start_time` in milliseconds."""

    experiment_id: str = "0"
    run_name: str = ""
    start_time: Int64 | None = None
    tags: tuple[KeyValue, ...] = ()


class UpdateRun(msgspec.Struct, frozen=True):
    """runs/update."""

    run_id: str
    status: str | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class LogMetric(msgspec.Struct, frozen=True):
    """runs/log-metric."""

    run_id: str
    key: str
    value: float | str
    timestamp: Int64 = 0
    step: Int64 = 0


class LogParameter(msgspec.Struct, frozen=True):
    """runs/log-parameter."""

    run_id: str
    key: str
    value: str = ""


class LogBatch(msgspec.Struct, frozen=True):
    """runs/log-batch."""

    run_id: str
    metrics: tuple[MetricPoint, ...] = ()
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class SetTag(msgspec.Struct, frozen=True):
    """runs/set-tag."""

    run_id: str
    key: str
    value: str = ""


class DeleteTag(msgspec.Struct, frozen=True):
    """runs/delete-tag."""

    run_id: str
    key: str
