"""Experiments, runs, metrics, params and tags."""

from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Query, Table
from relive.services.context import Services
from relive.services.mlflow import artifacts, experiments, runs
from relive.services.runs import may_write
from relive.wire.mlflow import tracking as wire
from relive.wire.mlflow.common import KeyValue


def _get_experiment(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give an experiment by its id; "0" is the default one."""
    found = experiments.get_experiment(services, query["experiment_id"], caller)
    return {"experiment": experiments.experiment_json(found)}


def _get_by_name(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give an experiment by its name."""
    found = experiments.find_by_name(services, query["experiment_name"], caller)
    return {"experiment": experiments.experiment_json(found)}


def _create_experiment(services: Services, caller: Caller, message: wire.CreateExperiment) -> dict[str, Any]:
    """Make an experiment, or give the one of that name."""
    return {"experiment_id": experiments.ensure_experiment(services, message.name, caller).id}


def _create_run(services: Services, caller: Caller, message: wire.CreateRun) -> dict[str, Any]:
    """Begin a run; inside a stage it is a child of the stage's run."""
    return {"run": runs.run_json(services, runs.create_run(services, message, caller))}


def _get_run(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give a run with its last metrics, params and tags."""
    run_id = query.get("run_uuid") or query["run_id"]
    return {"run": runs.run_json(services, runs.get_run(services, run_id, caller))}


def _update_run(services: Services, caller: Caller, message: wire.UpdateRun) -> dict[str, Any]:
    """Change a run's name, or end it; the run of a stage is ended by its stage alone."""
    return {"run_info": runs.run_json(services, runs.update_run(services, message, caller))["info"]}


def _log_metric(services: Services, caller: Caller, message: wire.LogMetric) -> dict[str, Any]:
    """Keep one point of a metric; NaN and infinities too."""
    point = wire.MetricPoint(
        key=message.key, value=message.value, timestamp=message.timestamp, step=message.step
    )
    runs.log_batch(services, wire.LogBatch(run_id=message.run_id, metrics=(point,)), caller)
    return {}


def _log_parameter(services: Services, caller: Caller, message: wire.LogParameter) -> dict[str, Any]:
    """Keep a param, once."""
    param = KeyValue(key=message.key, value=message.value)
    runs.log_batch(services, wire.LogBatch(run_id=message.run_id, params=(param,)), caller)
    return {}


def _log_batch(services: Services, caller: Caller, message: wire.LogBatch) -> dict[str, Any]:
    """Keep metrics, params and tags, all or none."""
    runs.log_batch(services, message, caller)
    return {}


def _set_tag(services: Services, caller: Caller, message: wire.SetTag) -> dict[str, Any]:
    """Set a tag."""
    tag = KeyValue(key=message.key, value=message.value)
    runs.log_batch(services, wire.LogBatch(run_id=message.run_id, tags=(tag,)), caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteTag) -> dict[str, Any]:
    """Take a tag away."""
    services.store.delete_tag(may_write(services, caller, message.run_id).id, message.key)
    return {}


def _get_history(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """Give every point of a metric."""
    run = runs.get_run(services, query.get("run_uuid") or query["run_id"], caller)
    return {"metrics": runs.history_json(services, run, query["metric_key"])}


def _list_artifacts(services: Services, caller: Caller, query: Query) -> dict[str, Any]:
    """List a folder of a run's artifacts."""
    run = runs.get_run(services, query.get("run_uuid") or query["run_id"], caller)
    files = artifacts.list_artifacts(services, run.id, query.get("path", ""))
    return {"root_uri": runs.artifact_uri(run), "files": files}


TABLE: Table = {
    ("GET", "experiments/get"): (None, _get_experiment),
    ("GET", "experiments/get-by-name"): (None, _get_by_name),
    ("POST", "experiments/create"): (wire.CreateExperiment, _create_experiment),
    ("POST", "runs/create"): (wire.CreateRun, _create_run),
    ("GET", "runs/get"): (None, _get_run),
    ("POST", "runs/update"): (wire.UpdateRun, _update_run),
    ("POST", "runs/log-metric"): (wire.LogMetric, _log_metric),
    ("POST", "runs/log-parameter"): (wire.LogParameter, _log_parameter),
    ("POST", "runs/log-batch"): (wire.LogBatch, _log_batch),
    ("POST", "runs/set-tag"): (wire.SetTag, _set_tag),
    ("POST", "runs/delete-tag"): (wire.DeleteTag, _delete_tag),
    ("GET", "metrics/get-history"): (None, _get_history),
    ("GET", "artifacts/list"): (None, _list_artifacts),
}
