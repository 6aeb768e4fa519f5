"""Runs with all they recorded, written as MLflow does: many at once take as few questions as one."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from relive.core.dataset import DatasetUse, ModelUse
from relive.core.run import MetricSummary, Run, RunKind
from relive.services.context import Services
from relive.services.mlflow.experiments import location_of
from relive.services.mlflow.runs import RUN_NAME, UNKNOWN_USER, USER
from relive.services.mlflow.values import TO_MLFLOW, json_number, lifecycle, milliseconds, pairs


def run_json(services: Services, run: Run) -> dict[str, Any]:
    """Write a run with its last metrics, params, tags, inputs and outputs."""
    return runs_json(services, [run])[0]


def runs_json(services: Services, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Write runs as `run_json` does, in their order."""
    store, ids = services.store, [run.id for run in runs]
    metrics: dict[str, list[MetricSummary]] = {}
    for metric in store.list_metrics(ids):
        metrics.setdefault(metric.run_id, []).append(metric)
    params, tags = store.list_params(ids), store.list_tags(ids)
    datasets, models = store.list_datasets(ids), store.list_model_uses(ids)
    locations = _locations(services, runs)
    written = []
    for run in runs:
        its_tags = _tags(run, tags.get(run.id, {}))
        written.append(
            {
                "info": _info(run, its_tags, locations[run.experiment_id]),
                "data": _data(metrics.get(run.id, ()), params.get(run.id, {}), its_tags),
                **_edges(datasets.get(run.id, ()), models.get(run.id, ())),
            }
        )
    return written


def new_run_json(services: Services, run: Run) -> dict[str, Any]:
    """Write a run that has just begun: it has tags and nothing else."""
    tags = _tags(run, services.store.list_tags([run.id]).get(run.id, {}))
    location = _locations(services, [run])[run.experiment_id]
    return {"info": _info(run, tags, location), "data": {"tags": pairs(tags)}, "inputs": {}}


def info_json(services: Services, run: Run) -> dict[str, Any]:
    """Write what a run is, without what it recorded."""
    tags = _tags(run, services.store.list_tags([run.id]).get(run.id, {}))
    return _info(run, tags, _locations(services, [run])[run.experiment_id])


def artifact_uri(services: Services, run: Run) -> str:
    """Give the address under which MLflow's clients store a run's artifacts."""
    return _artifact_uri(run, _locations(services, [run])[run.experiment_id])


def param_text(value: Any) -> str:
    """Give a param's value as MLflow's clients write theirs."""
    return value if isinstance(value, str) else str(value)


def _locations(services: Services, runs: Sequence[Run]) -> dict[str, str]:
    """Give the address of each experiment's artifacts."""
    ids = {run.experiment_id for run in runs}
    return {id_: location_of(services.store.get_experiment(id_)) for id_ in ids}


def below(location: str, path: str) -> str:
    """Give the address of a path below an address, whose query stays behind it."""
    parts = urlsplit(location)
    if not parts.scheme or not parts.query:
        return f"{location.rstrip('/')}/{path}"
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()


def _artifact_uri(run: Run, location: str) -> str:
    return below(location, f"{run.id}/artifacts")


def _info(run: Run, tags: dict[str, str], location: str) -> dict[str, Any]:
    written = {
        "run_id": run.id,
        "run_uuid": run.id,
        "run_name": run.name,
        "experiment_id": run.experiment_id,
        "user_id": tags.get(USER, UNKNOWN_USER),
        "status": TO_MLFLOW[run.status],
        "start_time": milliseconds(run.created_at if run.started_at is None else run.started_at),
        "artifact_uri": _artifact_uri(run, location),
        "lifecycle_stage": lifecycle(run.deleted_at),
    }
    return written if run.ended_at is None else written | {"end_time": milliseconds(run.ended_at)}


def _tags(run: Run, tags: dict[str, str]) -> dict[str, str]:
    user = {} if run.kind is RunKind.CLIENT else {USER: run.actor}
    return user | tags | {RUN_NAME: run.name}


def _data(
    metrics: Sequence[MetricSummary], params: dict[str, Any], tags: dict[str, str]
) -> dict[str, list[Any]]:
    values = [
        {"key": m.key, "value": json_number(m.last), "timestamp": milliseconds(m.at), "step": m.last_step}
        for m in metrics
    ]
    texts = {key: param_text(value) for key, value in params.items()}
    written: dict[str, list[Any]] = {"metrics": values, "params": pairs(texts), "tags": pairs(tags)}
    return {name: items for name, items in written.items() if items}


def _edges(datasets: Sequence[DatasetUse], models: Sequence[ModelUse]) -> dict[str, Any]:
    inputs = {
        "dataset_inputs": [_dataset(use) for use in datasets],
        "model_inputs": [{"model_id": use.model_id} for use in models if use.role == "input"],
    }
    outputs = [{"model_id": use.model_id, "step": use.step} for use in models if use.role == "output"]
    return {
        "inputs": {name: items for name, items in inputs.items() if items},
        "outputs": {"model_outputs": outputs} if outputs else {},
    }


def _dataset(use: DatasetUse) -> dict[str, Any]:
    dataset = use.dataset
    optional = {"schema": dataset.schema, "profile": dataset.profile}
    return {
        **({"tags": pairs(use.tags)} if use.tags else {}),
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "source_type": dataset.source_type,
            "source": dataset.source,
            **{name: text for name, text in optional.items() if text},
        },
    }
