"""Experiments, runs, metrics, params and tags.

Source: MLflow's REST API, version 2.0.
"""

import msgspec

from relive.wire.mlflow.common import Int32, Int64, KeyValue, Request


class MetricPoint(msgspec.Struct, frozen=True):
    """One point; `timestamp` in milliseconds. The last fields name the logged model that it judges."""

    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    dataset_name: str = ""
    dataset_digest: str = ""
    model_id: str = ""
    run_id: str = ""


class CreateExperiment(Request, frozen=True):
    """experiments/create."""

    name: str
    artifact_location: str = ""
    tags: tuple[KeyValue, ...] = ()


class OneExperiment(Request, frozen=True):
    """experiments/get, delete and restore."""

    experiment_id: str


class NamedExperiment(Request, frozen=True):
    """experiments/get-by-name."""

    experiment_name: str


class UpdateExperiment(Request, frozen=True):
    """experiments/update."""

    experiment_id: str
    new_name: str


class SetExperimentTag(Request, frozen=True):
    """experiments/set-experiment-tag."""

    experiment_id: str
    key: str
    value: str = ""


class DeleteExperimentTag(Request, frozen=True):
    """experiments/delete-experiment-tag."""

    experiment_id: str
    key: str


class CreateRun(Request, frozen=True):
    """runs/create; `start_time` in milliseconds."""

    experiment_id: str = ""
    start_time: Int64 | None = None
    run_name: str = ""
    user_id: str = ""
    tags: tuple[KeyValue, ...] = ()


class OneRun(Request, frozen=True):
    """runs/get, delete and restore."""

    run_id: str
    run_uuid: str = ""


class UpdateRun(Request, frozen=True):
    """runs/update; `end_time` in milliseconds, `status` its name or MLflow's number of it."""

    run_id: str
    end_time: Int64 | None = None
    status: str | int | None = None
    run_name: str | None = None
    run_uuid: str = ""


class LogMetric(Request, frozen=True):
    """runs/log-metric; see `MetricPoint`."""

    run_id: str
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""
    run_uuid: str = ""


class LogParameter(Request, frozen=True):
    """runs/log-parameter."""

    run_id: str
    key: str
    value: str = ""
    run_uuid: str = ""


class LogBatch(Request, frozen=True):
    """runs/log-batch."""

    run_id: str
    metrics: tuple[MetricPoint, ...] = ()
    params: tuple[KeyValue, ...] = ()
    tags: tuple[KeyValue, ...] = ()


class SetTag(Request, frozen=True):
    """runs/set-tag."""

    run_id: str
    key: str
    value: str = ""
    run_uuid: str = ""


class DeleteTag(Request, frozen=True):
    """runs/delete-tag."""

    run_id: str
    key: str


class GetHistory(Request, frozen=True):
    """metrics/get-history."""

    run_id: str
    metric_key: str
    page_token: str = ""
    max_results: Int32 | None = None
    run_uuid: str = ""


class GetHistoryBulk(Request, frozen=True):
    """metrics/get-history-bulk."""

    run_id: tuple[str, ...] = ()
    metric_key: str | None = None
    max_results: Int64 | None = None


class GetHistoryBulkInterval(Request, frozen=True):
    """metrics/get-history-bulk-interval; steps are both given or neither."""

    run_ids: tuple[str, ...]
    metric_key: str
    start_step: Int32 | None = None
    end_step: Int32 | None = None
    max_results: Int32 | None = None


class HistoryPoint(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A point of a history, in answers; a value that is no number in JSON is a word."""

    key: str
    value: float | str
    timestamp: int
    step: int
    run_id: str = ""


class ListArtifacts(Request, frozen=True):
    """artifacts/list; all of a folder is one page."""

    run_id: str
    path: str = ""
    page_token: str = ""
    run_uuid: str = ""
