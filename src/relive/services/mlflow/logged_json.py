"""Logged models, as MLflow writes them."""

from collections.abc import Sequence
from typing import Any, Final

from relive.core.logged_model import LoggedModel, LoggedModelStatus, ModelMetric
from relive.services.context import Services
from relive.services.mlflow.values import json_number, milliseconds

# In the order of MLflow's numbers for them.
STATUSES: Final = {
    "LOGGED_MODEL_STATUS_UNSPECIFIED": LoggedModelStatus.UNSPECIFIED,
    "LOGGED_MODEL_PENDING": LoggedModelStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedModelStatus.UPLOAD_FAILED,
}
_WORDS: Final = {status: word for word, status in STATUSES.items()}


def logged_model_json(services: Services, model: LoggedModel) -> dict[str, Any]:
    """Write a logged model with its params, tags and metrics."""
    return logged_models_json(services, [model])[0]


def logged_models_json(services: Services, models: Sequence[LoggedModel]) -> list[dict[str, Any]]:
    """Write logged models, with as many questions to the store for many as for one."""
    store, ids = services.store, [model.id for model in models]
    tags, params = store.list_logged_model_tags(ids), store.list_logged_model_params(ids)
    metrics = store.list_model_metrics(ids)
    return [
        {
            "info": _info(model) | _filled("tags", _pairs(tags.get(model.id, {}))),
            "data": _filled("params", _pairs(params.get(model.id, {})))
            | _filled("metrics", [_metric_json(point) for point in metrics.get(model.id, [])]),
        }
        for model in models
    ]


def _info(model: LoggedModel) -> dict[str, Any]:
    message = {"status_message": model.status_message} if model.status_message else {}
    return {
        "experiment_id": model.experiment_id,
        "model_id": model.id,
        "name": model.name,
        "artifact_uri": model.artifact_location,
        "creation_timestamp_ms": milliseconds(model.created_at),
        "last_updated_timestamp_ms": milliseconds(model.updated_at),
        "model_type": model.model_type,
        "source_run_id": model.source_run_id,
        "status": _WORDS[model.status],
    } | message


def _metric_json(point: ModelMetric) -> dict[str, Any]:
    dataset = {"dataset_name": point.dataset_name, "dataset_digest": point.dataset_digest}
    return {
        "key": point.key,
        "value": json_number(point.value),
        "timestamp": milliseconds(point.at),
        "step": point.step,
        "model_id": point.model_id,
        "run_id": point.run_id,
    } | {name: text for name, text in dataset.items() if text}


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _filled(name: str, items: list[Any]) -> dict[str, list[Any]]:
    """MLflow leaves empty lists out."""
    return {name: items} if items else {}
