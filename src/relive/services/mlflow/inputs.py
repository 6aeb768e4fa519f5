"""Data sets and logged models that runs read or made, as MLflow's clients tell it."""

import json
from typing import Any, Final

import msgspec

from relive.core.access import Caller
from relive.core.dataset import DatasetUse, LoggedDataset, ModelUse
from relive.services.context import Services
from relive.services.mlflow.experiments import may_read
from relive.services.mlflow.faults import invalid
from relive.services.mlflow.keys import check_length, check_run_id
from relive.services.mlflow.runs import writable
from relive.wire.mlflow import inputs as wire

CONTEXT: Final = "mlflow.data.context"
_MODELS: Final = "mlflow.log-model.history"
_MODEL_FIELDS: Final = ("run_id", "artifact_path", "utc_time_created", "model_uuid")
_MOST_EXPERIMENTS: Final = 20
_MOST_SUMMARIES: Final = 1000
# Of each field of a data set, in characters.
_LIMITS: Final = (
    ("name", 500),
    ("digest", 36),
    ("source", 65535),
    ("schema", 1048575),
    ("profile", 16777215),
)
_LONGEST_TAG: Final = (255, 500)
_MANDATORY: Final = {"artifact_path", "flavors", "utc_time_created", "run_id"}


def log_inputs(services: Services, message: wire.LogInputs, caller: Caller) -> None:
    """Note what a run read.

    Raises:
        MlflowFault: A data set cannot be kept, or there is no such run, or it is deleted.
        AccessDenied: The run is another's.
    """
    check_run_id(message.run_id)
    uses = [_checked(given) for given in message.datasets]
    run = writable(services, message.run_id, caller)
    with services.store.transaction():
        services.store.record_datasets(run.id, uses)
        read = [ModelUse(model_id=model.model_id, role="input") for model in message.models]
        services.store.record_model_uses(run.id, read)


def log_outputs(services: Services, message: wire.LogOutputs, caller: Caller) -> None:
    """Note which logged models a run made; raises as `log_inputs`."""
    run = writable(services, message.run_id, caller)
    made = [ModelUse(model_id=it.model_id, role="output", step=it.step) for it in message.models]
    services.store.record_model_uses(run.id, made)


def log_model(services: Services, message: wire.LogModel, caller: Caller) -> None:
    """Add a model that a run stored among its artifacts to the tag that lists them; as old clients do.

    Raises:
        MlflowFault: It is no model, or there is no such run, or it is deleted.
        AccessDenied: The run is another's.
    """
    model = _read_model(message.model_json)
    run = writable(services, message.run_id, caller)
    store = services.store
    flavors = {
        name: {key: value for key, value in flavor.items() if key != "config"}
        if isinstance(flavor, dict)
        else flavor
        for name, flavor in model["flavors"].items()
    }
    kept = {field: model[field] for field in _MODEL_FIELDS if field in model} | {"flavors": flavors}
    with store.transaction():
        before = store.list_tags([run.id]).get(run.id, {}).get(_MODELS, "[]")
        history = [*msgspec.json.decode(before), kept]
        store.set_tags(run.id, {_MODELS: json.dumps(history)}, fence=run.fence or None)


def dataset_summaries(services: Services, message: wire.SearchDatasets, caller: Caller) -> dict[str, Any]:
    """Give the data sets that the runs of experiments read, each once a context.

    Experiments that are not there, or that the caller may not read, have none.

    Raises:
        MlflowFault: Too many experiments are asked for, or none.
    """
    count = len(message.experiment_ids)
    if not count:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if count > _MOST_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {_MOST_EXPERIMENTS} experiment_ids. Received"
            f" {count} experiment_ids."
        )
    ids = [id_ for id_ in message.experiment_ids if may_read(services, id_, caller)]
    found = services.store.list_dataset_summaries(ids, context_tag=CONTEXT, limit=_MOST_SUMMARIES)
    summaries = [
        {name: text for name, text in msgspec.structs.asdict(summary).items() if text is not None}
        for summary in found
    ]
    return {"dataset_summaries": summaries} if summaries else {}


def _checked(given: wire.DatasetInput) -> DatasetUse:
    if given.dataset is None:
        raise invalid("Dataset cannot be None")
    for name, limit in _LIMITS:
        check_length(name, limit, getattr(given.dataset, name))
    for tag in given.tags:
        check_length("key", _LONGEST_TAG[0], tag.key)
        check_length("value", _LONGEST_TAG[1], tag.value)
    dataset = LoggedDataset(**msgspec.structs.asdict(given.dataset))
    return DatasetUse(dataset=dataset, tags={tag.key: tag.value for tag in given.tags})


def _read_model(text: str) -> dict[str, Any]:
    try:
        model = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise invalid(f"Malformed model info. \n {text} \n is not a valid JSON.") from None
    if absent := _MANDATORY - model.keys():
        raise invalid(f"Model json is missing mandatory fields: {absent}")
    if not isinstance(model["flavors"], dict):
        raise invalid("Model json is missing mandatory fields: {'flavors'}")
    return model
