"""Experiments, runs, metrics, params and tags."""

from collections.abc import Iterator
from typing import Any

from relive.core.access import Caller
from relive.hub.routes.mlflow.table import Table
from relive.services.context import Services
from relive.services.mlflow import artifacts, experiments, metrics, prompts, records, runs
from relive.services.mlflow.run_json import artifact_uri, info_json, new_run_json, run_json
from relive.wire.mlflow import tracking as wire
from relive.wire.mlflow.prompts import CreatePromptRun

Reply = dict[str, Any]


def _get_experiment(services: Services, caller: Caller, message: wire.OneExperiment) -> Reply:
    """Give an experiment by its id; "0" is the default one."""
    found = experiments.get_experiment(services, message.experiment_id, caller)
    return {"experiment": experiments.experiment_json(services, found)}


def _get_by_name(services: Services, caller: Caller, message: wire.NamedExperiment) -> Reply:
    """Give an experiment by its name."""
    found = experiments.find_by_name(services, message.experiment_name, caller)
    return {"experiment": experiments.experiment_json(services, found)}


def _create_experiment(services: Services, caller: Caller, message: wire.CreateExperiment) -> Reply:
    """Make an experiment."""
    return {"experiment_id": experiments.create_experiment(services, message, caller).id}


def _update_experiment(services: Services, caller: Caller, message: wire.UpdateExperiment) -> Reply:
    """Change an experiment's name."""
    experiments.rename_experiment(services, message, caller)
    return {}


def _delete_experiment(services: Services, caller: Caller, message: wire.OneExperiment) -> Reply:
    """Put an experiment and its runs aside."""
    experiments.delete_experiment(services, message.experiment_id, caller)
    return {}


def _restore_experiment(services: Services, caller: Caller, message: wire.OneExperiment) -> Reply:
    """Take an experiment and its runs back."""
    experiments.restore_experiment(services, message.experiment_id, caller)
    return {}


def _set_experiment_tag(services: Services, caller: Caller, message: wire.SetExperimentTag) -> Reply:
    """Set an experiment's tag."""
    experiments.set_tag(services, message, caller)
    return {}


def _delete_experiment_tag(services: Services, caller: Caller, message: wire.DeleteExperimentTag) -> Reply:
    """Take an experiment's tag away."""
    experiments.delete_tag(services, message, caller)
    return {}


def _create_run(services: Services, caller: Caller, message: wire.CreateRun) -> Reply:
    """Begin a run; inside a stage it is a child of the stage's run."""
    return {"run": new_run_json(services, runs.create_run(services, message, caller))}


def _create_prompt_run(services: Services, caller: Caller, message: CreatePromptRun) -> Reply:
    """Keep one answer to a prompt as a finished run: params, a table, and the prompt as a model folder."""
    return {"run": run_json(services, prompts.create_prompt_run(services, message, caller))}


def _get_run(services: Services, caller: Caller, message: wire.OneRun) -> Reply:
    """Give a run with its last metrics, params, tags, inputs and outputs."""
    return {"run": run_json(services, runs.get_run(services, message.run_id, caller))}


def _update_run(services: Services, caller: Caller, message: wire.UpdateRun) -> Reply:
    """Change a run's name, or end it; the run of a stage is ended by its stage alone."""
    return {"run_info": info_json(services, runs.update_run(services, message, caller))}


def _delete_run(services: Services, caller: Caller, message: wire.OneRun) -> Reply:
    """Put a run aside."""
    runs.delete_run(services, message.run_id, caller)
    return {}


def _restore_run(services: Services, caller: Caller, message: wire.OneRun) -> Reply:
    """Take a run back."""
    runs.restore_run(services, message.run_id, caller)
    return {}


def _log_metric(services: Services, caller: Caller, message: wire.LogMetric) -> Reply:
    """Keep one point of a metric; NaN and infinities too."""
    records.log_metric(services, message, caller)
    return {}


def _log_parameter(services: Services, caller: Caller, message: wire.LogParameter) -> Reply:
    """Keep a param, once."""
    records.log_param(services, message, caller)
    return {}


def _log_batch(services: Services, caller: Caller, message: wire.LogBatch) -> Reply:
    """Keep metrics, params and tags, all or none."""
    records.log_batch(services, message, caller)
    return {}


def _set_tag(services: Services, caller: Caller, message: wire.SetTag) -> Reply:
    """Set a tag."""
    records.set_tag(services, message, caller)
    return {}


def _delete_tag(services: Services, caller: Caller, message: wire.DeleteTag) -> Reply:
    """Take a tag away."""
    records.delete_tag(services, message, caller)
    return {}


def _get_history(services: Services, caller: Caller, message: wire.GetHistory) -> Reply | Iterator[bytes]:
    """Give every point of a metric, or a page of them."""
    return metrics.history(services, message, caller)


def _get_history_bulk(services: Services, caller: Caller, message: wire.GetHistoryBulk) -> Reply:
    """Give the points of a metric in many runs."""
    return metrics.history_of_many(services, message, caller)


def _get_history_bulk_interval(
    services: Services, caller: Caller, message: wire.GetHistoryBulkInterval
) -> Reply:
    """Give points of a metric in many runs, evenly picked between two steps."""
    return metrics.sampled_history(services, message, caller)


def _list_artifacts(services: Services, caller: Caller, message: wire.ListArtifacts) -> Reply:
    """List a folder of a run's artifacts."""
    run = runs.get_run(services, message.run_id, caller)
    files = artifacts.list_artifacts(services, run.id, message.path)
    return {"root_uri": artifact_uri(services, run)} | ({"files": files} if files else {})


TABLE: Table = {
    ("GET", "experiments/get"): (wire.OneExperiment, _get_experiment),
    ("GET", "experiments/get-by-name"): (wire.NamedExperiment, _get_by_name),
    ("POST", "experiments/create"): (wire.CreateExperiment, _create_experiment),
    ("POST", "experiments/update"): (wire.UpdateExperiment, _update_experiment),
    ("POST", "experiments/delete"): (wire.OneExperiment, _delete_experiment),
    ("POST", "experiments/restore"): (wire.OneExperiment, _restore_experiment),
    ("POST", "experiments/set-experiment-tag"): (wire.SetExperimentTag, _set_experiment_tag),
    ("POST", "experiments/delete-experiment-tag"): (wire.DeleteExperimentTag, _delete_experiment_tag),
    ("POST", "runs/create"): (wire.CreateRun, _create_run),
    ("POST", "runs/create-promptlab-run"): (CreatePromptRun, _create_prompt_run),
    ("GET", "runs/get"): (wire.OneRun, _get_run),
    ("POST", "runs/update"): (wire.UpdateRun, _update_run),
    ("POST", "runs/delete"): (wire.OneRun, _delete_run),
    ("POST", "runs/restore"): (wire.OneRun, _restore_run),
    ("POST", "runs/log-metric"): (wire.LogMetric, _log_metric),
    ("POST", "runs/log-parameter"): (wire.LogParameter, _log_parameter),
    ("POST", "runs/log-batch"): (wire.LogBatch, _log_batch),
    ("POST", "runs/set-tag"): (wire.SetTag, _set_tag),
    ("POST", "runs/delete-tag"): (wire.DeleteTag, _delete_tag),
    ("GET", "metrics/get-history"): (wire.GetHistory, _get_history),
    ("GET", "metrics/get-history-bulk"): (wire.GetHistoryBulk, _get_history_bulk),
    ("GET", "metrics/get-history-bulk-interval"): (wire.GetHistoryBulkInterval, _get_history_bulk_interval),
    ("GET", "artifacts/list"): (wire.ListArtifacts, _list_artifacts),
}
